"""Where a buyer's day ends: the time zone of a country or region.

A place with several zones has the one in which its day ends last. Source of the country table:
the IANA time zone database (zone.tab), reduced to that zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS_REMEMBERED_MAX = 4096
END_OF_TIME = datetime.max.replace(microsecond=0, tzinfo=UTC)

_COUNTRIES = """
AD=Europe/Andorra AE=Asia/Dubai AF=Asia/Kabul AG=America/Antigua AI=America/Anguilla
AL=Europe/Tirane AM=Asia/Yerevan AO=Africa/Luanda AQ=Antarctica/Palmer
AR=America/Argentina/Buenos_Aires AS=Pacific/Pago_Pago AT=Europe/Vienna AU=Australia/Perth
AW=America/Aruba AX=Europe/Mariehamn AZ=Asia/Baku BA=Europe/Sarajevo BB=America/Barbados
BD=Asia/Dhaka BE=Europe/Brussels BF=Africa/Ouagadougou BG=Europe/Sofia BH=Asia/Bahrain
BI=Africa/Bujumbura BJ=Africa/Porto-Novo BL=America/St_Barthelemy BM=Atlantic/Bermuda
BN=Asia/Brunei BO=America/La_Paz BQ=America/Kralendijk BR=America/Eirunepe BS=America/Nassau
BT=Asia/Thimphu BW=Africa/Gaborone BY=Europe/Minsk BZ=America/Belize CA=America/Vancouver
CC=Indian/Cocos CD=Africa/Kinshasa CF=Africa/Bangui CG=Africa/Brazzaville CH=Europe/Zurich
CI=Africa/Abidjan CK=Pacific/Rarotonga CL=Pacific/Easter CM=Africa/Douala CN=Asia/Urumqi
CO=America/Bogota CR=America/Costa_Rica CU=America/Havana CV=Atlantic/Cape_Verde
CW=America/Curacao CX=Indian/Christmas CY=Asia/Nicosia CZ=Europe/Prague DE=Europe/Berlin
DJ=Africa/Djibouti DK=Europe/Copenhagen DM=America/Dominica DO=America/Santo_Domingo
DZ=Africa/Algiers EC=Pacific/Galapagos EE=Europe/Tallinn EG=Africa/Cairo EH=Africa/El_Aaiun
ER=Africa/Asmara ES=Atlantic/Canary ET=Africa/Addis_Ababa FI=Europe/Helsinki FJ=Pacific/Fiji
FK=Atlantic/Stanley FM=Pacific/Chuuk FO=Atlantic/Faroe FR=Europe/Paris GA=Africa/Libreville
GB=Europe/London GD=America/Grenada GE=Asia/Tbilisi GF=America/Cayenne GG=Europe/Guernsey
GH=Africa/Accra GI=Europe/Gibraltar GL=America/Thule GM=Africa/Banjul GN=Africa/Conakry
GP=America/Guadeloupe GQ=Africa/Malabo GR=Europe/Athens GS=Atlantic/South_Georgia
GT=America/Guatemala GU=Pacific/Guam GW=Africa/Bissau GY=America/Guyana HK=Asia/Hong_Kong
HN=America/Tegucigalpa HR=Europe/Zagreb HT=America/Port-au-Prince HU=Europe/Budapest
ID=Asia/Jakarta IE=Europe/Dublin IL=Asia/Jerusalem IM=Europe/Isle_of_Man IN=Asia/Kolkata
IO=Indian/Chagos IQ=Asia/Baghdad IR=Asia/Tehran IS=Atlantic/Reykjavik IT=Europe/Rome
JE=Europe/Jersey JM=America/Jamaica JO=Asia/Amman JP=Asia/Tokyo KE=Africa/Nairobi
KG=Asia/Bishkek KH=Asia/Phnom_Penh KI=Pacific/Tarawa KM=Indian/Comoro KN=America/St_Kitts
KP=Asia/Pyongyang KR=Asia/Seoul KW=Asia/Kuwait KY=America/Cayman KZ=Asia/Aqtobe
LA=Asia/Vientiane LB=Asia/Beirut LC=America/St_Lucia LI=Europe/Vaduz LK=Asia/Colombo
LR=Africa/Monrovia LS=Africa/Maseru LT=Europe/Vilnius LU=Europe/Luxembourg LV=Europe/Riga
LY=Africa/Tripoli MA=Africa/Casablanca MC=Europe/Monaco MD=Europe/Chisinau ME=Europe/Podgorica
MF=America/Marigot MG=Indian/Antananarivo MH=Pacific/Majuro MK=Europe/Skopje ML=Africa/Bamako
MM=Asia/Yangon MN=Asia/Hovd MO=Asia/Macau MP=Pacific/Saipan MQ=America/Martinique
MR=Africa/Nouakchott MS=America/Montserrat MT=Europe/Malta MU=Indian/Mauritius
MV=Indian/Maldives MW=Africa/Blantyre MX=America/Tijuana MY=Asia/Kuala_Lumpur MZ=Africa/Maputo
NA=Africa/Windhoek NC=Pacific/Noumea NE=Africa/Niamey NF=Pacific/Norfolk NG=Africa/Lagos
NI=America/Managua NL=Europe/Amsterdam NO=Europe/Oslo NP=Asia/Kathmandu NR=Pacific/Nauru
NU=Pacific/Niue NZ=Pacific/Auckland OM=Asia/Muscat PA=America/Panama PE=America/Lima
PF=Pacific/Tahiti PG=Pacific/Port_Moresby PH=Asia/Manila PK=Asia/Karachi PL=Europe/Warsaw
PM=America/Miquelon PN=Pacific/Pitcairn PR=America/Puerto_Rico PS=Asia/Gaza PT=Atlantic/Azores
PW=Pacific/Palau PY=America/Asuncion QA=Asia/Qatar RE=Indian/Reunion RO=Europe/Bucharest
RS=Europe/Belgrade RU=Europe/Kaliningrad RW=Africa/Kigali SA=Asia/Riyadh SB=Pacific/Guadalcanal
SC=Indian/Mahe SD=Africa/Khartoum SE=Europe/Stockholm SG=Asia/Singapore SH=Atlantic/St_Helena
SI=Europe/Ljubljana SJ=Arctic/Longyearbyen SK=Europe/Bratislava SL=Africa/Freetown
SM=Europe/San_Marino SN=Africa/Dakar SO=Africa/Mogadishu SR=America/Paramaribo SS=Africa/Juba
ST=Africa/Sao_Tome SV=America/El_Salvador SX=America/Lower_Princes SY=Asia/Damascus
SZ=Africa/Mbabane TC=America/Grand_Turk TD=Africa/Ndjamena TF=Indian/Kerguelen TG=Africa/Lome
TH=Asia/Bangkok TJ=Asia/Dushanbe TK=Pacific/Fakaofo TL=Asia/Dili TM=Asia/Ashgabat
TN=Africa/Tunis TO=Pacific/Tongatapu TR=Europe/Istanbul TT=America/Port_of_Spain
TV=Pacific/Funafuti TW=Asia/Taipei TZ=Africa/Dar_es_Salaam UA=Europe/Kyiv UG=Africa/Kampala
UM=Pacific/Midway US=Pacific/Honolulu UY=America/Montevideo UZ=Asia/Samarkand VA=Europe/Vatican
VC=America/St_Vincent VE=America/Caracas VG=America/Tortola VI=America/St_Thomas
VN=Asia/Ho_Chi_Minh VU=Pacific/Efate WF=Pacific/Wallis WS=Pacific/Apia YE=Asia/Aden
YT=Indian/Mayotte ZA=Africa/Johannesburg ZM=Africa/Lusaka ZW=Africa/Harare
"""
COUNTRY_ZONES: dict[str, str] = dict(pair.split("=") for pair in _COUNTRIES.split())

_REGIONS = {
    "US": {
        "America/New_York": "CT DC DE GA MA MD ME NC NH NJ NY OH PA RI SC VA VT WV",
        "America/Chicago": "AL AR FL IA IL IN KY LA MI MN MO MS OK TN WI",
        "America/Denver": "CO KS MT ND NE NM SD TX UT WY",
        "America/Phoenix": "AZ",
        "America/Los_Angeles": "CA ID NV OR WA",
        "America/Adak": "AK",
        "Pacific/Honolulu": "HI",
        "America/Puerto_Rico": "PR VI",
        "Pacific/Guam": "GU MP",
        "Pacific/Pago_Pago": "AS",
    },
    "CA": {
        "America/Toronto": "QC",
        "America/Winnipeg": "MB ON",
        "America/Regina": "SK",
        "America/Edmonton": "AB NT",
        "America/Cambridge_Bay": "NU",
        "America/Vancouver": "BC",
        "America/Whitehorse": "YT",
        "America/Halifax": "NB NS PE",
        "America/Goose_Bay": "NL",
    },
    "AU": {
        "Australia/Sydney": "ACT",
        "Australia/Broken_Hill": "NSW",
        "Australia/Melbourne": "VIC",
        "Australia/Brisbane": "QLD",
        "Australia/Adelaide": "SA",
        "Australia/Perth": "WA",
        "Australia/Hobart": "TAS",
        "Australia/Darwin": "NT",
    },
    "BR": {
        "America/Sao_Paulo": "AL AP BA CE DF ES GO MA MG PA PB PE PI PR RJ RN RS SC SE SP TO",
        "America/Cuiaba": "MS MT",
        "America/Porto_Velho": "RO RR",
        "America/Eirunepe": "AC AM",
    },
    "MX": {
        "America/Mexico_City": (
            "AGU CAM CHP CMX COA COL DUR GRO GUA HID JAL MEX MIC MOR NLE OAX PUE QUE SLP TAB TAM"
            " TLA VER YUC ZAC"
        ),
        "America/Cancun": "ROO",
        "America/Ciudad_Juarez": "CHH",
        "America/Mazatlan": "BCS NAY SIN",
        "America/Hermosillo": "SON",
        "America/Tijuana": "BCN",
    },
    "ES": {"Atlantic/Canary": "CN GC TF"},
    "PT": {"Atlantic/Azores": "20", "Atlantic/Madeira": "30"},
    "EC": {"Pacific/Galapagos": "W"},
    "CL": {"Pacific/Easter": "VS"},
}
REGION_ZONES: dict[tuple[str, str], str] = {
    (country, region): zone
    for country, zones in _REGIONS.items()
    for zone, regions in zones.items()
    for region in regions.split()
}
OTHER_REGIONS = {
    "ES": "Europe/Madrid",
    "PT": "Europe/Lisbon",
    "EC": "America/Guayaquil",
    "CL": "America/Santiago",
}
"""The zone of a named region that is not in the table, where its country's last one is remote."""
NOWHERE = "UTC"


@lru_cache(maxsize=DAYS_REMEMBERED_MAX)
def zone_of(country: str, region: str | None) -> ZoneInfo:
    """The time zone of a place; UTC where the country is not known."""
    name = COUNTRY_ZONES.get(country, NOWHERE)
    if region:
        name = REGION_ZONES.get((country, region)) or OTHER_REGIONS.get(country, name)
    return ZoneInfo(name)


def local_date(instant: datetime, country: str, region: str | None) -> date:
    """The calendar day of an instant where the buyer is."""
    try:
        return instant.astimezone(zone_of(country, region)).date()
    except OverflowError:
        return instant.date()


def days_after(day: date, days: int) -> date:
    """The calendar day so many days later; at the end of the calendar its last day."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.max


@lru_cache(maxsize=DAYS_REMEMBERED_MAX)
def next_day(day: date, country: str, region: str | None) -> datetime:
    """The first instant after a calendar day where the buyer is, as UTC."""
    try:
        tomorrow = datetime.combine(day + timedelta(days=1), datetime.min.time())
        return tomorrow.replace(tzinfo=zone_of(country, region)).astimezone(UTC)
    except OverflowError:
        return END_OF_TIME


def end_of_day(day: date, country: str, region: str | None) -> datetime:
    """The last second of a calendar day where the buyer is, as UTC."""
    return next_day(day, country, region) - timedelta(seconds=1)
