"""Raw request of a flight → features. One function, the same in training and in serving."""

from datetime import datetime, timedelta


def _codes(names):
    """A number for each name; what is not named becomes -1 later."""
    return {name: float(number) for number, name in enumerate(names.split())}


NAN = float("nan")
NEW_YORK = timedelta(hours=-5)
CARRIERS = _codes("9E AA AS B6 DL EV F9 FL HA MQ OO UA US VX WN YV")
ORIGINS = _codes("EWR JFK LGA")
DESTINATIONS = _codes("""
    ABQ ACK ALB ANC ATL AUS AVL BDL BGR BHM BNA BOS BQN BTV BUF BUR BWI BZN CAE CAK CHO CHS CLE CLT CMH CRW
    CVG DAY DCA DEN DFW DSM DTW EGE EYW FLL GRR GSO GSP HDN HNL HOU IAD IAH ILM IND JAC JAX LAS LAX LEX LGA
    LGB MCI MCO MDW MEM MHT MIA MKE MSN MSP MSY MTJ MVY MYR OAK OKC OMA ORD ORF PBI PDX PHL PHX PIT PSE PSP
    PVD PWM RDU RIC ROC RSW SAN SAT SAV SBN SDF SEA SFO SJC SJU SLC SMF SNA SRQ STL STT SYR TPA TUL TVC TYS
    XNA
""")


def _minutes(clock):
    """Minutes since midnight of a local time such as 1545."""
    return clock // 100 * 60 + clock % 100


def _number(value):
    return NAN if value is None else float(value)


def features(row):
    asked = datetime.fromisoformat(row["event_time"])
    departure = _minutes(row["sched_dep"])
    built = row["plane_year"]
    return {
        "carrier": CARRIERS.get(row["carrier"], -1.0),
        "origin": ORIGINS.get(row["origin"], -1.0),
        "dest": DESTINATIONS.get(row["dest"], -1.0),
        "distance": float(row["distance"]),
        "departure": float(departure),
        "local_duration": float((_minutes(row["sched_arr"]) - departure) % 1440),
        "weekday": float((asked + NEW_YORK).weekday()),
        "plane_age": NAN if built is None else asked.year - float(built),
        "seats": _number(row["seats"]),
        "humid": _number(row["humid"]),
        "wind_speed": _number(row["wind_speed"]),
        "wind_gust": _number(row["wind_gust"]),
        "precip": _number(row["precip"]),
        "visib": _number(row["visib"]),
    }
