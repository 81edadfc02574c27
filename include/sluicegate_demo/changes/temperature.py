# --- change of 2013-08-02: hot air is thin and planes are heavier to lift, so give the model the temperature -------------------------

_features_before_temperature = features


def features(row):
    known = _features_before_temperature(row)
    known["temp"] = float("nan") if row["temp"] is None else float(row["temp"])  # degrees Fahrenheit, as in all our labelled data
    return known
