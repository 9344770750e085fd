"""Words by which people and programs label statistics of runs, such as rows of means below the runs."""

import re

#: Words by statistic, in lower case, without a full stop at the end.
_WORDS = {
    "mean": "mean avg average mittelwert durchschnitt moyenne promedio średnia gemiddelde ø ∅ 平均 平均值 均值 среднее",
    "median": "median médiane mediana 中位数 медиана",
    "min": "min minimum minimo mínimo",
    "max": "max maximum massimo máximo",
    "sum": "sum total summe gesamt somme ∑ 总计 合计 總計 итого",
    "std": (
        "std stdev stddev sd stdabw standardabweichung écart-type ecart-type \u03c3 ± 标准差 標準偏差 desvio "
        "st.dev std.dev"
    ),
    "var": "var variance varianz 方差",
    "error": "sem se ci stderr",
}
_PHRASES = {
    "mean": ("arithmetic mean", "geometric mean", "macro average", "mean ± std", "mean±std", "mean +/- std"),
    "std": ("standard deviation", "desviación estándar", "desvio padrão", "deviazione standard", "ст. откл"),
    "error": ("standard error", "95% ci"),
    # Shares of the data have these names, too.
    "quartile": ("25%", "50%", "75%"),
}
_STATISTIC = {word: kind for kind, words in _WORDS.items() for word in words.split()} | {
    phrase: kind for kind, phrases in _PHRASES.items() for phrase in phrases
}
#: Words that may also be the name of a task or a model, and are statistics if their values are.
_AMBIGUOUS: dict[str, str] = dict.fromkeys(
    ("overall", "all", "media", "média", "mittel", "combined", "aggregate", "macro"), "mean"
)
#: What may follow the word: "mean of 5 seeds", "average (5)".
_OF_RUNS = re.compile(r"\s*(?:\(.*\)|\b(?:of|over|across|über|von|sur|de)\s.*)$")


def statistic(name: object) -> str | None:
    """Return the statistic that a name states: a key of ``_WORDS`` or ``_PHRASES``; None for other names."""
    word = _OF_RUNS.sub("", str(name).strip().lower()).rstrip(".:")
    return _STATISTIC.get(word)


def possible_statistic(name: object) -> str | None:
    """Return the statistic that a name may state: ``statistic``, that of its first word, or mean for overall."""
    first = re.split(r"[\s_:/-]", str(name).strip(), maxsplit=1)[0]
    return statistic(name) or _AMBIGUOUS.get(str(name).strip().lower().rstrip(".:")) or statistic(first)
