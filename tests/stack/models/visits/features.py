"""Raw answers of a person → features. One function, the same in training and in serving."""

from math import expm1

HEALTH = {"excellent": 0.0, "good": 1.0, "fair": 2.0, "poor": 3.0}


def features(row):
    return {
        "coinsurance": expm1(row["lncoins"]),
        "individual_deductible": float(row["idp"]),
        "incentive": float(row["lpi"]),
        "maximum_expenditure": float(row["fmde"]),
        "limited": float(row["physlm"]),
        "diseases": float(row["disea"]),
        "health": HEALTH[row["health"]],
    }
