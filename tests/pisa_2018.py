"""Published numbers that confidence sets for ranks must reproduce."""

#: Mathematics in the Programme for International Student Assessment 2018 (OECD): mean and its standard error of each
#: OECD country, the example of the R package csranks (Mogstad, Romano, Shaikh & Wilhelm 2024), whose vignette has the
#: confidence sets.
MATHEMATICS = {
    **{"Australia": (491.3600, 1.939833), "Austria": (498.9423, 2.970999), "Belgium": (508.0703, 2.262662)},
    **{"Canada": (512.0169, 2.357476), "Chile": (417.4066, 2.415888), "Colombia": (390.9323, 2.989559)},
    **{"Czech Republic": (499.4677, 2.460662), "Denmark": (509.3984, 1.735002), "Estonia": (523.4146, 1.743602)},
    **{"Finland": (507.3014, 1.967920), "France": (495.4076, 2.320214), "Germany": (500.0438, 2.647083)},
    **{"Greece": (451.3703, 3.091228), "Hungary": (481.0826, 2.319597), "Iceland": (495.1874, 1.953083)},
    **{"Ireland": (499.6329, 2.198621), "Israel": (463.0345, 3.498563), "Italy": (486.5899, 2.780046)},
    **{"Japan": (526.9733, 2.471475), "Korea": (525.9330, 3.121394), "Latvia": (496.1263, 1.962767)},
    **{"Lithuania": (481.1912, 1.953282), "Luxembourg": (483.4215, 1.097632), "Mexico": (408.8015, 2.493226)},
    **{"Netherlands": (519.2310, 2.632278), "New Zealand": (494.4897, 1.705943), "Norway": (500.9638, 2.219045)},
    **{"Poland": (515.6479, 2.602085), "Portugal": (492.4874, 2.684570), "Slovak Republic": (486.1649, 2.555596)},
    **{"Slovenia": (508.8975, 1.363878), "Spain": (481.3926, 1.462418), "Sweden": (502.3877, 2.654251)},
    **{"Switzerland": (515.3147, 2.908004), "Turkey": (453.5078, 2.260407), "United Kingdom": (501.7699, 2.564428)},
    "United States": (478.2447, 3.235444),
}
#: The 12 countries of its confidence set (95 %) for the five best.
AMONG_THE_FIVE_BEST = (
    *("Belgium", "Canada", "Denmark", "Estonia", "Finland", "Japan", "Korea", "Netherlands", "Poland", "Slovenia"),
    *("Sweden", "Switzerland"),
)
