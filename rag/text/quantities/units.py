"""Units and currencies, every spelling and what one amounts to; the values found in a text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple


class Day(NamedTuple):
    """A date as far as it is stated; 0 and "" where it is not."""

    year: int = 0
    month: int = 0
    day: int = 0
    part: str = ""  # q1 to q4, h1, h2
    fiscal: bool = False

    def holds(self, wanted: Day) -> bool:
        """Say whether this date states what ``wanted`` states; a fiscal year is a year here.

        >>> Day(2018, 3, 5).holds(Day(2018, 3)), Day(2018).holds(Day(2018, 3))
        (True, False)
        """
        pairs = zip(wanted[:4], self[:4], strict=True)
        return all(not asked or asked == stated for asked, stated in pairs)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number or a date at ``text[start:end]``.

    ``value`` keeps the digits that were written: 1.2 billion is Decimal("1.2E+9"), known to a
    hundred million. A bare year such as 2018 has both, a value and a date.
    """

    start: int
    end: int
    value: Decimal | None = None
    unit: str = ""  # as in rag.text.quantities.units; "" = none stands beside it
    scaled: bool = False  # a word or letter for thousand, 万, million … stands beside it
    about: bool = False  # about, roughly, 约 … stands before it
    date: Day | None = None
    other: Day | None = None  # second reading of 03/05/2018
    code: str = ""  # 10:30, 1.2.3: compared as written


# base unit, how many of it, spellings; the first spelling stands for all. Symbols keep their
# case (Gb is not GB), words do not.
_TABLE = """
% 1 % percent pct percentage
pp 1 pp ppt ppts 个百分点 個百分點 百分点
bp 1 bp bps 个基点 基点
usd 1 usd 美元 美金 美刀 USD
$ 1 $ dollar dollars
eur 1 eur EUR euro euros 欧元 歐元
gbp 1 gbp GBP sterling 英镑 英鎊
pound 1 pound pounds 磅
cny 1 cny RMB CNY yuan renminbi 元 人民币 人民幣 元人民币 块
hkd 1 hkd HKD 港元 港币 港幣
jpy 1 jpy JPY yen 日元 日圆
krw 1 krw KRW won 韩元
twd 1 twd TWD NTD 新台币 新台幣
aud 1 aud AUD 澳元
cad 1 cad CAD 加元
chf 1 chf CHF 瑞士法郎
inr 1 inr INR rupee rupees 卢比
cent 1 cent cents 美分
m 1 m meter meters metre metres 米 公尺
m 1000 km kilometer kilometers kilometre kilometres 公里 千米
m 0.01 cm centimeter centimeters centimetre centimetres 厘米 公分
m 0.001 mm millimeter millimeters millimetre millimetres 毫米
m 0.000001 µm μm um micrometer micrometers micron microns 微米
m 0.000000001 nm nanometer nanometers nanometre nanometres 纳米
mile 1 mile miles mi 英里
nmi 1 nmi 海里
foot 1 foot ft feet 英尺
inch 1 inch inches 英寸
yard 1 yard yd yards 码
kg 1 kg kilogram kilograms kilogramme kilogrammes kilo kilos 公斤 千克
kg 0.001 g gram grams gramme grammes 克
kg 0.000001 mg milligram milligrams 毫克
kg 0.000000001 µg μg ug mcg microgram micrograms 微克
kg 1000 t tonne tonnes 吨 噸 公吨
ton 1 ton tons
lb 1 lb lbs
oz 1 oz ounce ounces 盎司
l 1 l L liter liters litre litres 升
l 0.001 ml mL milliliter milliliters millilitre millilitres 毫升
barrel 1 barrel bbl barrels 桶
gallon 1 gallon gal gallons 加仑
ha 1 ha hectare hectares 公顷
acre 1 acre acres 英亩
mu 1 mu 亩 畝
m2 1 m2 m² ㎡ sqm 平方米 平方公尺
m2 1000000 km2 km² 平方公里 平方千米
m3 1 m3 m³ 立方米
byte 1 byte bytes B 字节
byte 1000 KB kB kilobyte kilobytes
byte 1000000 MB megabyte megabytes
byte 1000000000 GB gigabyte gigabytes
byte 1000000000000 TB terabyte terabytes
byte 1000000000000000 PB petabyte petabytes
kib 1 kib KiB
kib 1024 MiB
kib 1048576 GiB
kib 1073741824 TiB
bit 1 bit bits
bit 1000 Kb kbit
bit 1000000 Mb Mbit megabit megabits
bit 1000000000 Gb Gbit gigabit gigabits
bit 1000000000000 Tb Tbit
bit/s 1 bit/s bps
bit/s 1000 kbps Kbps
bit/s 1000000 Mbps
bit/s 1000000000 Gbps
flops 1000000000 GFLOPS
flops 1000000000000 TFLOPS teraflops
flops 1000000000000000 PFLOPS petaflops
hz 1 hz Hz hertz 赫兹
hz 1000 kHz KHz 千赫
hz 1000000 MHz megahertz 兆赫
hz 1000000000 GHz gigahertz
w 1 w W watt watts 瓦 瓦特
w 1000 kW KW kilowatt kilowatts 千瓦
w 1000000 MW megawatt megawatts 兆瓦
w 1000000000 GW gigawatt gigawatts 吉瓦
w 0.001 mW milliwatt milliwatts
wh 1 wh Wh 瓦时
wh 1000 kWh KWh 千瓦时
wh 1000000 MWh
wh 1000000000 GWh
v 1 v V volt volts 伏 伏特
v 1000 kV KV 千伏
v 0.001 mV
ampere 1 ampere A amp amps amperes 安培
ampere 0.001 mA
pa 1 pa Pa 帕
pa 1000 kPa 千帕
pa 1000000 MPa 兆帕
psi 1 psi
bar 1 bar bars
j 1 j J joule joules 焦耳
j 1000 kJ 千焦
cal 1 cal calorie calories 卡路里
cal 1000 kcal 千卡 大卡
db 1 db dB decibel decibels 分贝
celsius 1 celsius °C ℃ 摄氏度
fahrenheit 1 fahrenheit °F ℉ 华氏度
degree 1 degree ° degrees 度
year 1 year years yr yrs 年 年间 周年
month 1 month months 个月 個月
week 1 week weeks wk wks 周 个星期 星期 个礼拜
day 1 day days 天 日
hour 1 hour hours hr hrs h 小时 小時 个小时 钟头
minute 1 minute minutes min mins 分钟 分鐘
second 1 second seconds sec secs s 秒 秒钟
second 0.001 millisecond milliseconds ms 毫秒
second 0.000001 microsecond microseconds µs μs us 微秒
second 0.000000001 ns nanosecond nanoseconds 纳秒
age 1 age 岁 歲
x 1 x × times fold 倍
person 1 person persons people 人 名 位 人次
px 1 px pixel pixels 像素
token 1 token tokens
decade 1 decade decades 年代
"""

_FACTORS: dict[str, tuple[str, Decimal]] = {}  # symbol -> base unit, how many of it
_SPELLINGS: dict[str, str] = {}  # spelling -> symbol
for _line in _TABLE.strip().splitlines():
    _base, _factor, _symbol, *_names = _line.split()
    _FACTORS[_symbol] = (_base, Decimal(_factor))
    for _name in (_symbol, *_names):
        _SPELLINGS.setdefault(_name, _symbol)

CURRENCY_SIGNS = {
    "US$": "usd", "U.S.$": "usd", "USD": "usd", "HK$": "hkd", "HKD": "hkd", "NT$": "twd",
    "C$": "cad", "CAD": "cad", "A$": "aud", "AUD": "aud", "S$": "sgd", "SGD": "sgd",
    "R$": "brl", "$": "$", "€": "eur", "EUR": "eur", "£": "gbp", "GBP": "gbp", "¥": "¥",
    "JPY": "jpy", "RMB": "cny", "CNY": "cny", "人民币": "cny", "人民幣": "cny", "CHF": "chf",
    "INR": "inr", "Rs.": "inr", "₹": "inr", "₩": "krw",
}  # fmt: skip
_DOLLARS = frozenset({"$", "usd", "hkd", "twd", "cad", "aud", "sgd"})
_READINGS = {
    "$": _DOLLARS,
    "¥": frozenset({"¥", "cny", "jpy"}),
    "pound": frozenset({"pound", "gbp", "lb"}),
}
MONEY = _DOLLARS | {"¥", "eur", "gbp", "cny", "jpy", "krw", "chf", "inr", "brl", "pound", "cent"}
COUNTS = frozenset({"person", "x", "token", "px", "decade"})
"""Units that a table's cell or another wording may leave out."""

_CHINESE = "|".join(
    sorted((n for n in _SPELLINGS if "\u4e00" <= n[0] <= "\u9fff"), key=len, reverse=True)
)
_LATIN = r"°\s?[CF]\b|[%°℃℉㎡×]|(?:km2|m[23])\b|[A-Za-zµμ]+[²³]?(?![A-Za-z0-9])"
_WORDS = r"per cent\b|percentage points?\b|basis points?\b"
_UNIT = (
    rf"(?P<power>square[ -]|cubic[ -]|sq\.?[ ])?(?:(?P<zh>{_CHINESE})|(?P<latin>{_WORDS}|{_LATIN}))"
    rf"(?:(?:/|[ ]per[ ]|每)(?P<below>{_CHINESE}|[A-Za-z]+[23²³]?))?"
)
AFTER = re.compile(rf"[)\]]{{0,2}}[ \t\u00a0]?-?{_UNIT}")
"""What may follow a number: a unit, perhaps divided by another."""
_ANYWHERE = re.compile(rf"(?:(?<![A-Za-z\u4e00-\u9fff])|(?<=[万亿千百])){_UNIT}")
_PHRASES = {
    "per cent": "%", "percentage point": "pp", "percentage points": "pp", "basis point": "bp",
    "basis points": "bp", "° c": "°C", "° f": "°F",
}  # fmt: skip
_POWERS = {"s": "2", "c": "3"}
_SHORTEST_WORD = 3


def unit_of(name: str) -> str | None:
    """Return the symbol of a spelling; ``None`` if it is not a unit.

    >>> unit_of("GB"), unit_of("Kilometers"), unit_of("公里"), unit_of("cores")
    ('GB', 'km', 'km', None)
    """
    if known := _SPELLINGS.get(name) or _PHRASES.get(name.casefold()):
        return known
    return _SPELLINGS.get(name.casefold()) if len(name) >= _SHORTEST_WORD else None


def read_unit(match: re.Match[str]) -> str | None:
    """Return the symbol of the unit that a match of ``AFTER`` names, such as ``GB/second``."""
    symbol = unit_of(match["zh"] or match["latin"])
    if symbol is None:
        return None
    if power := match["power"]:
        symbol += _POWERS[power[0]]
    if match["below"] and (below := unit_of(match["below"])):
        symbol = f"{symbol}/{below}"
    return symbol


def units_in(text: str) -> frozenset[str]:
    """Return the symbols of all units named in a text, beside a number or not.

    >>> sorted(units_in("Bandwidth (GB/s), 长度（公里）"))
    ['GB/second', 'km']
    """
    found = (read_unit(match) for match in _ANYWHERE.finditer(text))
    signs = (sign for name, sign in CURRENCY_SIGNS.items() if name in text)
    return frozenset(symbol for symbol in (*found, *signs) if symbol)


@lru_cache(maxsize=1024)
def base_of(symbol: str) -> tuple[str, Decimal]:
    """Return the unit that a unit is a multiple of, and how many of it.

    >>> base_of("km"), base_of("GB/second")[0], base_of("km2")
    (('m', Decimal('1000')), 'byte/second', ('m2', Decimal('1000000')))
    """
    above, _, below = symbol.partition("/")
    if below:
        (top, many), (bottom, of) = base_of(above), base_of(below)
        return f"{top}/{bottom}", many / of
    if symbol in _FACTORS:
        return _FACTORS[symbol]
    if symbol[-1:] in {"2", "3"} and symbol[:-1] in _FACTORS:
        base, factor = _FACTORS[symbol[:-1]]
        return base + symbol[-1], factor ** int(symbol[-1])
    return symbol, Decimal(1)


def alike(one: str, other: str) -> bool:
    """Say whether two units can be the same: "$" may be US dollars, "¥" yuan or yen.

    >>> alike("$", "usd"), alike("usd", "eur"), alike("¥", "cny")
    (True, False, True)
    """
    if one == other:
        return True
    mine, theirs = _READINGS.get(one, frozenset({one})), _READINGS.get(other, frozenset({other}))
    return bool(mine & theirs)
