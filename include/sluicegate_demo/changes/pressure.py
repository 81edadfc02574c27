

# --- change of 2013-08-02: low pressure brings thunderstorms, so give the model the pressure at the origin ------------------------------

_features_before_pressure = features


def features(row):
    known = _features_before_pressure(row)
    known["pressure"] = _number(row["pressure"])  # millibar, as in all our labelled data
    return known
