"""Which functions HogQL lets through, how many arguments they take, and what ClickHouse calls them.

Source of the names and arities: PostHog's posthog/hogql/functions (aggregations@1fd70c2,
clickhouse/datetime@194144d, conversions@039a787, arrays@08f7321, strings@24b3f01,
arithmetic@b3cd2b3, json@09b8ff3, mathematical@64ca40f, mapping@af2acc5). What is not here is
refused, as it is there: `toInt64`, `toUInt32`, `toIntervalMillisecond`, `uniqCombined`, ...
Geo, bitmap, URL and language-model functions exist in HogQL but are left out: nothing of ours
needs them, and a refusal here is the safe mistake.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Final

from .wordlist import words

UNBOUNDED: Final = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One permitted function: its ClickHouse name and the arguments it takes."""

    clickhouse: str
    min_args: int
    max_args: int | None
    is_aggregate: bool = False
    min_params: int = 0
    max_params: int | None = None
    suffix: tuple[str, ...] = field(default=())
    """Constant arguments that HogQL appends (the target type of a cast)."""


# (fewest, most arguments) -> names that ClickHouse knows by the same name.
_FUNCTIONS: Final[dict[tuple[int, int | None], str]] = {
    (0, 0): "e pi rand today yesterday rowNumberInBlock rowNumberInAllBlocks rank dense_rank "
    "row_number",
    (0, None): "array tuple map",
    (1, 1): "negate abs empty notEmpty length reverse arrayEnumerate arrayPopBack arrayPopFront "
    "arrayJoin arrayDifference arrayDistinct arrayEnumerateDense arrayReverse arrayFlatten "
    "arrayCompact arrayProduct hex unhex toBool toJSONString toTypeName cityHash64 isNotNull "
    "assumeNotNull toNullable timeZoneOf timeZoneOffset toYear toQuarter toMonth toDayOfYear "
    "toDayOfMonth toHour toMinute toSecond toUnixTimestamp64Milli fromUnixTimestamp64Milli "
    "toStartOfYear toStartOfISOYear toStartOfQuarter toStartOfMonth toLastDayOfMonth toMonday "
    "toStartOfHour toStartOfMinute toStartOfSecond toStartOfFiveMinutes toStartOfTenMinutes "
    "toStartOfFifteenMinutes toTime toISOYear toISOWeek timeSlot toYYYYMM toYYYYMMDD "
    "toYYYYMMDDhhmmss monthName fromUnixTimestamp toIntervalSecond toIntervalMinute "
    "toIntervalHour toIntervalDay toIntervalWeek toIntervalMonth toIntervalQuarter toIntervalYear "
    "isValidJSON exp log ln exp2 log2 exp10 log10 sqrt cbrt erf erfc lgamma tgamma sin cos tan "
    "asin acos atan intExp2 intExp10 cosh acosh sinh asinh atanh log1p sign degrees radians "
    "factorial roundToExp2 lengthUTF8 lower upper lowerUTF8 upperUTF8 isValidUTF8 toValidUTF8 "
    "reverseUTF8 base58Encode base58Decode tryBase58Decode base64Encode base64Decode "
    "tryBase64Decode ascii regexpQuoteMeta initcap not mapKeys mapValues bitNot bitCount "
    "untuple tupleNegate isFinite isInfinite isNaN first_value last_value",
    (1, 2): "toUnixTimestamp toString arrayMin arrayMax arraySum arrayAvg arrayStringConcat "
    "toStartOfWeek toStartOfDay toLastDayOfWeek floor ceil trunc round roundBankers "
    "splitByWhitespace splitByNonAlpha alphaTokens",
    (1, 3): "range toDayOfWeek toWeek toYearWeek lagInFrame leadInFrame",
    (1, None): "arrayCount arraySort arrayUniq arrayIntersect arrayExists arrayAll arrayCumSum "
    "arrayCumSumNonNegative coalesce JSONHas JSONLength JSONArrayLength JSONType JSONExtractUInt "
    "JSONExtractInt JSONExtractFloat JSONExtractBool JSONExtractString JSONExtractKey "
    "JSONExtractKeys JSONExtractRaw JSONExtractArrayRaw JSONExtractKeysAndValuesRaw",
    (2, 2): "plus minus multiply divide intDiv intDivOrZero modulo moduloOrZero positiveModulo "
    "gcd lcm max2 min2 arrayElement has hasAll hasAny hasSubstr indexOf countEqual arrayPushBack "
    "arrayPushFront arrayAUC arrayWithConstant arrayRotateLeft arrayRotateRight toUUIDOrDefault "
    "timeStampAdd timeStampSub addYears addMonths addWeeks addDays addHours addMinutes addSeconds "
    "addQuarters subtractYears subtractMonths subtractWeeks subtractDays subtractHours "
    "subtractMinutes subtractSeconds subtractQuarters dateName pow power atan2 hypot roundDown "
    "endsWith startsWith match extract extractAll like ilike notLike notILike countMatches "
    "hasToken hasSubsequence ngramDistance repeat mapFromArrays mapContains bitAnd bitOr bitXor "
    "bitShiftLeft bitShiftRight bitTest tuplePlus tupleMinus dotProduct nth_value equals notEquals "
    "less greater lessOrEquals greaterOrEquals in notIn least greatest",
    (2, 3): "arrayResize arraySlice dateAdd dateSub timeSlots formatDateTime leftPad rightPad "
    "leftPadUTF8 rightPadUTF8 position positionCaseInsensitive positionUTF8 countSubstrings locate "
    "splitByChar splitByString splitByRegexp multiplyDecimal divideDecimal tupleElement dateTrunc "
    "toStartOfInterval",
    (2, None): "arrayConcat arrayEnumerateUniq arrayFilter arrayZip arrayMap arrayFill arraySplit "
    "arrayReverseFill arrayReverseSplit arrayFirst arrayLast arrayFirstIndex arrayLastIndex "
    "JSONExtract JSON_VALUE format concat concatWithSeparator and or xor",
    (3, 3): "age dateDiff substring substringUTF8 replaceAll replaceOne replaceRegexpAll "
    "replaceRegexpOne translate translateUTF8 lpad rpad if",
    (3, 4): "transform",
    (3, None): "arrayFold multiIf",
}

# HogQL name -> (ClickHouse name, fewest, most arguments).
_RENAMED: Final[dict[str, tuple[str, int, int | None]]] = {
    "isEmpty": ("empty", 1, 1),
    "isNotEmpty": ("notEmpty", 1, 1),
    # In the stored source the reverse sort is mapped to the plain one: ascending, and a trap.
    "arrayReverseSort": ("arraySort", 1, UNBOUNDED),
    "left": ("leftUTF8", 2, 2),
    "right": ("rightUTF8", 2, 2),
    "replace": ("replaceAll", 3, 3),
    "isnull": ("isNull", 1, 1),
    "ifnull": ("ifNull", 2, 2),
    "nullif": ("nullIf", 2, 2),
    "date_diff": ("dateDiff", 3, 3),
    "date_trunc": ("dateTrunc", 2, 3),
    "current_date": ("today", 0, 0),
    "toIntOrZero": ("toInt64OrZero", 1, 1),
    "toFloatOrZero": ("toFloat64OrZero", 1, 1),
    "toFloatOrDefault": ("toFloat64OrDefault", 1, 2),
    "_toInt8": ("toInt8", 1, 1),
    "_toInt16": ("toInt16", 1, 1),
    "_toInt32": ("toInt32", 1, 1),
    "_toInt64": ("toInt64", 1, 1),
    "_toUInt64": ("toUInt64", 1, 1),
    "_toDate": ("toDate", 1, 1),
    "trim": ("trim", 1, 2),
    "btrim": ("trim", 1, 2),
    "ltrim": ("trimLeft", 1, 2),
    "trimLeft": ("trimLeft", 1, 2),
    "rtrim": ("trimRight", 1, 2),
    "trimRight": ("trimRight", 1, 2),
    # The printer chooses between these and their strict forms by the type of the argument.
    "toDate": ("toDateOrNull", 1, 1),
    "to_date": ("toDateOrNull", 1, 1),
    "toDateTime": ("parseDateTime64BestEffortOrNull", 1, 2),
    "toDateTimeUS": ("parseDateTime64BestEffortUSOrNull", 1, 2),
    "toDateTime64": ("toDateTime64", 1, 3),
    "parseDateTime": ("parseDateTimeOrNull", 2, 3),
    "parseDateTimeBestEffort": ("parseDateTime64BestEffortOrNull", 1, 2),
    "toTimeZone": ("toTimeZone", 1, 2),
    "now": ("now64", 0, 1),
    "current_timestamp": ("now64", 0, 0),
}

_CASTS: Final = {
    "toInt": "Int64",
    "toFloat": "Float64",
    "toUUID": "UUID",
    "toNullableString": "Nullable(String)",
}

TIMEZONE_AWARE: Final = words(
    "toDateTime toDateTimeUS toDateTime64 parseDateTime parseDateTimeBestEffort toTimeZone now "
    "current_timestamp"
)

_AGGREGATES: Final[dict[tuple[int, int | None], str]] = {
    (0, 1): "count",
    (1, 1): "countDistinct min max sum avg sumForEach minForEach any anyHeavy anyLast stddevPop "
    "stddevSamp varPop varSamp groupArray groupUniqArray groupUniqArrayArray groupBitAnd "
    "groupBitOr groupBitXor sumWithOverflow deltaSum skewSamp skewPop kurtSamp kurtPop median "
    "medianExact medianTDigest quantile quantileExact topK groupArraySample",
    (1, 2): "countIf countDistinctIf sumMap minMap maxMap",
    (1, None): "uniq uniqExact uniqHLL12 uniqTheta quantiles windowFunnel",
    (2, 2): "minIf maxIf sumIf avgIf anyIf anyHeavyIf anyLastIf stddevPopIf stddevSampIf varPopIf "
    "varSampIf covarPop covarSamp corr argMin argMax groupArrayIf groupUniqArrayIf avgWeighted "
    "groupArrayInsertAt medianIf medianExactIf quantileIf quantilesIf groupBitAndIf groupBitOrIf "
    "simpleLinearRegression contingency cramersV deltaSumIf groupArraySampleIf",
    (2, None): "uniqIf uniqExactIf uniqHLL12If uniqThetaIf",
    (3, 3): "covarPopIf covarSampIf argMinIf argMaxIf avgWeightedIf",
}

# Aggregates that must be given parameters, as in quantile(0.9)(x): (fewest, most).
_PARAMETERS: Final[dict[str, tuple[int, int]]] = {
    "quantile": (1, 1),
    "quantileIf": (1, 1),
    "quantilesIf": (1, 1),
    "quantileExact": (1, 1),
    "topK": (1, 1),
    "groupArraySample": (1, 2),
    "groupArraySampleIf": (1, 2),
}

# HogQL takes no size for these; relying on one would silently cut a timeline short.
WITHOUT_PARAMETERS: Final = frozenset({"groupArray", "groupUniqArray", "groupArrayIf"})

_IGNORING_CASE: Final = words(
    "length reverse abs max2 min2 isnull coalesce ifnull nullif exp log ln log2 log10 sqrt sin "
    "cos tan asin acos atan pow power sign degrees radians factorial floor ceil trunc round lower "
    "upper concat substring ascii position extract replace trim btrim not if least greatest now "
    "count min max sum avg"
)

COMPARISONS: Final = {
    "equals": "==",
    "notEquals": "!=",
    "less": "<",
    "greater": ">",
    "lessOrEquals": "<=",
    "greaterOrEquals": ">=",
    "like": "like",
    "ilike": "ilike",
    "notLike": "not like",
    "notILike": "not ilike",
    "in": "in",
    "notIn": "not in",
}

# Suffix -> (arguments it adds, suffixes that may follow it).
_COMBINATORS: Final[dict[str, tuple[int, tuple[str, ...]]]] = {
    "If": (1, ()),
    "Array": (0, ("If", "OrDefault", "OrNull")),
    "Map": (0, ("If", "OrDefault", "OrNull")),
    "ForEach": (0, ("If", "OrDefault", "OrNull")),
    "OrDefault": (0, ("If",)),
    "OrNull": (0, ("If",)),
    "ArgMin": (1, ("If", "OrDefault", "OrNull")),
    "ArgMax": (1, ("If", "OrDefault", "OrNull")),
}
_COMBINABLE: Final = ("avg", "sum", "min", "max", "count", "countDistinct", "median")


def _plain(names: dict[tuple[int, int | None], str]) -> dict[str, tuple[int, int | None]]:
    return {name: arity for arity, text in names.items() for name in text.split()}


def _combined() -> dict[str, tuple[int, int | None]]:
    aggregates = _plain(_AGGREGATES)
    combined: dict[str, tuple[int, int | None]] = {}
    for base in _COMBINABLE:
        fewest, most = aggregates[base]
        for first, (extra, followers) in _COMBINATORS.items():
            low, high = fewest + extra, (most or 0) + extra
            combined[base + first] = (low, high)
            for second in followers:
                more = _COMBINATORS[second][0]
                combined[base + first + second] = (low + more, high + more)
    return combined


def _build_functions() -> dict[str, Function]:
    built = {
        name: Function(clickhouse=name, min_args=low, max_args=high)
        for name, (low, high) in _plain(_FUNCTIONS).items()
    }
    for name, (clickhouse, low, high) in _RENAMED.items():
        built[name] = Function(clickhouse=clickhouse, min_args=low, max_args=high)
    for name, target in _CASTS.items():
        built[name] = Function(
            clickhouse="accurateCastOrNull", min_args=1, max_args=1, suffix=(target,)
        )
    return built


def _build_aggregates() -> dict[str, Function]:
    built = {}
    for name, (low, high) in {**_combined(), **_plain(_AGGREGATES)}.items():
        fewest, most = _PARAMETERS.get(name, (0, None))
        built[name] = Function(
            clickhouse=name,
            min_args=low,
            max_args=high,
            is_aggregate=True,
            min_params=fewest,
            max_params=most,
        )
    return built


FUNCTIONS: Final = _build_functions()
AGGREGATES: Final = _build_aggregates()
EXPOSED_NAMES: Final = [name for name in (*FUNCTIONS, *AGGREGATES) if not name.startswith("_")]


def find_function(name: str) -> Function | None:
    """Return the permitted function or aggregate of that name, else None.

    Names are case-sensitive but for those that HogQL marks otherwise (`COUNT`, `Lower`).
    """
    for table in (AGGREGATES, FUNCTIONS):
        if name in table:
            return table[name]
        if name.lower() in _IGNORING_CASE and name.lower() in table:
            return table[name.lower()]
    return None


def closest_name(name: str) -> str | None:
    """Return the permitted name that looks most like a refused one."""
    matches = difflib.get_close_matches(name, EXPOSED_NAMES, 1)
    return matches[0] if matches else None
