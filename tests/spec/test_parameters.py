"""Everything that can be wrong with an entry of `parameters`, and with the top of a file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nftlab.spec import load_text, pruner_of

Problems = Callable[[str], list[str]]


def one(entry: str, method: str = "grid") -> str:
    cap = "run_cap: 2\n" if method != "grid" else ""
    return f"method: {method}\n{cap}parameters:\n  algorithm: {{value: nft}}\n  {entry}\n"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("lr: {values: []}", "4:16: parameters.lr.values: the list is empty"),
        ("lr: {values: 3}", "4:16: parameters.lr.values: 3 is not a list"),
        ("lr: {values: [[1]]}", "4:17: parameters.lr.values: a list is not a single value"),
        ("lr: {value: {a: 1}}", "4:15: parameters.lr.value: a mapping is not a single value"),
        ("lr: 3", "4:7: parameters.lr: 3 is not a mapping; write lr: {value: …}"),
        ("lr: [3]", "4:7: parameters.lr: a list is not a mapping; write lr: {values: …}"),
        ("lr:", "4:3: parameters.lr: nothing is not a mapping; write lr: {value: …}"),
        ("lr: {}", "4:3: parameters.lr: no value; write value, values, min and max, or a distribution"),
        ("lr: {value: 1, values: [2]}", "4:3: parameters.lr: both value and values; keep one"),
        ("lr: {values: [1, 2, 1.0]}", "4:23: parameters.lr.values: 1.0 is listed twice; it is the same as 1 at 4:17"),
        ("lr: {values: [1e0, 1]}", "4:22: parameters.lr.values: 1 is listed twice; it is the same as 1.0 at 4:17"),
        ("lr: {min: 1}", "4:3: parameters.lr: min alone; min and max go together"),
        ("lr: {min: 2, max: 2}", "4:3: parameters.lr: min 2 is not below max 2"),
        ("n_f: {min: true, max: 2}", "4:14: parameters.n_f.min: true is not a whole number"),
        ("lr: {values: [1, 2], probabilities: [.5, .5]}", "4:24: parameters.lr.probabilities: a grid has no probabilities;"),
        (
            "lr: {min: 0.1, max: 2}",
            "4:3: parameters.lr: uniform has no grid; write values, int_uniform or q_uniform,",
        ),
        ("lr: {distribution: normal}", "4:3: parameters.lr: normal has no grid;"),
        ("lr: {distribution: norml}", "4:22: parameters.lr.distribution: 'norml' is not one of"),
        ("lr: {distribution: constant}", "4:3: parameters.lr: constant needs value"),
        (
            "n_f: {distribution: int_uniform, value: 3, min: 1, max: 2}",
            "4:36: parameters.n_f.value: does not belong to int_uniform,",
        ),
        (
            "lr: {min: 1, max: 5, q: 2}",
            "4:24: parameters.lr.q: does not belong to int_uniform, which takes min, max; write distribution: q_uniform",
        ),
        ("lr: {distribution: q_uniform, min: 0, max: 1, q: 0}", "4:3: parameters.lr: q is 0; it must be greater than 0"),
        ("n_f: {min: 1, max: 1000000000000}", "4:3: parameters.n_f: 1000000000000 values; a grid has at most 100000 points"),
        ("lr: {parameters: {a: {value: 1}}}", "4:8: parameters.lr.parameters: nested parameters; nftlab's parameters are flat:"),
        ("lr: {valu: 1}", "4:8: parameters.lr.valu: unknown key; allowed: value, values,"),
        ("9lr: {value: 1}", "4:3: parameters.9lr: a parameter's name starts with a letter or _"),
        ("seed: {values: [1, 2]}", "4:3: parameters.seed: seeds are replicates, not a parameter; write them under nftlab: seeds"),
        ("eta_mx: {value: 1}", "4:3: parameters.eta_mx: does not apply to nft; no algorithm declares it (did you mean 'eta_max'?)"),
        (
            "hidden_units: {value: 1}",
            "4:3: parameters.hidden_units: does not apply to nft; no algorithm declares it; allowed: algorithm, augment,",
        ),
        ("epochs: {value: 1.5}", "4:19: parameters.epochs.value: 1.5 is not a whole number"),
        ("epochs: {value: yes}", "4:19: parameters.epochs.value: 'yes' is not a number"),
        ("lr: {value: .nan}", "4:15: parameters.lr.value: nan is not a number"),
        ("network: {values: [fc-a, fc-c]}", "4:28: parameters.network.values: 'fc-c' is not one of"),
        (
            "network: {values: [fc-a, resnet18]}\n  batch_size: {value: 1}",
            "5:23: parameters.batch_size.value: BatchNorm in resnet18 needs at least 2 examples of digits",
        ),
        ("network: {value: cnn-b}", "4:20: parameters.network.value: cnn-b needs images of at least 11×11, digits has 8×8"),
        ("network: {value: lenet}", "4:20: parameters.network.value: lenet needs images of at least 16×16, digits has 8×8"),
    ],
)
def test_problems_of_a_grid_parameter(problems: Problems, entry: str, problem: str) -> None:
    (found,) = problems(one(entry))
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("lr: {values: [1, 2], probabilities: [1]}", "5:39: parameters.lr.probabilities: 1 probabilities for 2 values; one for each"),
        ("lr: {values: [1, 2], probabilities: [.5, .6]}", "5:39: parameters.lr.probabilities: the probabilities add up to 1.1, not 1"),
        ("lr: {values: [1, 2], probabilities: [2, -1]}", "5:39: parameters.lr.probabilities: a probability lies between 0 and 1"),
        ("lr: {values: [1, 2], probabilities: [.5, x]}", "5:44: parameters.lr.probabilities: 'x' is not a number"),
        (
            "lr: {distribution: log_uniform, min: 1, max: 3}",
            "5:3: parameters.lr: min and max of log_uniform are exponents of e, and",
        ),
        (
            "lr: {distribution: log_uniform_values, min: 0, max: 3}",
            "5:3: parameters.lr: min is 0; log_uniform_values needs it greater",
        ),
        ("lr: {distribution: normal, sigma: 0}", "5:3: parameters.lr: sigma is 0; it must be greater than 0"),
        ("lr: {distribution: beta, a: 1e308, b: 1}", "5:3: parameters.lr: a is 1e+308; it must be at most 1e+06"),
        ("lr: {distribution: beta, mu: 0}", "5:28: parameters.lr.mu: does not belong to beta, which takes a, b"),
        ("lr: {min: -2.0, max: -1.0}", "5:7: parameters.lr: -1."),
    ],
)
def test_problems_of_a_random_parameter(problems: Problems, entry: str, problem: str) -> None:
    (found,) = problems(one(entry, "random"))
    assert found.startswith(problem)


@pytest.mark.parametrize("method", ["random", "bayes"])
@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("epochs: {min: 1, max: 4.0}", "uniform gives numbers that are not whole, as epochs must be"),
        ("n_f: {distribution: log_normal}", "log_normal gives numbers that are not whole, as n_f must be"),
        ("epochs: {distribution: q_uniform, min: 1, max: 4, q: 0.5}", "q_uniform gives numbers that are not whole, as epochs must be"),
    ],
)
def test_a_whole_number_needs_a_distribution_of_such(problems: Problems, method: str, entry: str, problem: str) -> None:
    (found,) = problems(one(entry, method))
    name, kind = entry.partition(":")[0], problem.partition(" ")[0].removeprefix("q_")
    assert found == f"5:3: parameters.{name}: {problem}; write distribution: int_uniform, or q_{kind} with a whole q"


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_distributions_of_whole_numbers(problems: Problems, method: str) -> None:
    for entry in ("int_uniform, min: 1, max: 9", "q_uniform, min: 2, max: 9, q: 2.0", "q_log_uniform_values, min: 1, max: 9"):
        assert problems(one(f"epochs: {{distribution: {entry}}}", method)) == []
    (found,) = problems(one("epochs: {distribution: inv_log_uniform_values, min: 1, max: 9}", method))
    assert found.endswith("write distribution: int_uniform, or q_log_uniform_values with a whole q")


def test_a_search_that_was_launched_with_fractions_is_still_read() -> None:
    assert load_text(one("epochs: {min: 1, max: 4.0}", "bayes"), stored=True).asked == 2


@pytest.mark.parametrize(
    ("method", "entry", "told"),
    [
        (
            "bayes",
            "q_log_uniform_values, min: 1e-4, max: 1e-1, q: 1e-3",
            "an end of q_log_uniform_values (q 0.001, min 0.0001, max 0.1), rounded to a multiple of q; change q, min or max",
        ),
        (
            "bayes",
            "normal, mu: 0.01, sigma: 0.005",
            "an end of normal (mu 0.01, sigma 0.005), of which a sampler takes 3 sigma to each side of mu; "
            "change mu or sigma, or write uniform with min and max",
        ),
        ("random", "normal, mu: -9", "drawn from normal (mu -9, sigma 1); change mu or sigma, or write uniform with min and max"),
        (
            "random",
            "q_log_normal, mu: -1",
            "drawn from q_log_normal (mu -1, sigma 1, q 1), rounded to a multiple of q; "
            "change mu, sigma or q, or write q_log_uniform_values with min and max",
        ),
        ("random", "uniform, min: -2, max: -1", "drawn from uniform (min -2, max -1); change min or max"),
        ("grid", "q_uniform, min: 0, max: 3", "a value of q_uniform (q 1, min 0, max 3); change q, min or max"),
    ],
)
def test_a_value_that_stands_nowhere_in_the_file_is_traced(problems: Problems, method: str, entry: str, told: str) -> None:
    (found,) = problems(one(f"lr: {{distribution: {entry}}}", method))
    assert found.split(": ", 3)[1] == "parameters.lr"
    assert found.endswith(f" must be greater than 0: {told}")


def test_log_uniform_suggests_the_form_with_values(problems: Problems) -> None:
    (found,) = problems(one("lr: {distribution: q_log_uniform, min: 1, max: 3}", "random"))
    assert found.endswith("(did you mean 'q_log_uniform_values'?)")


@pytest.mark.parametrize("method", ["random", "bayes"])
@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("log_uniform, min: 0, max: 1000", "(did you mean 'log_uniform_values'?)"),
        ("inv_log_uniform, min: -1000, max: 1", "(did you mean 'inv_log_uniform_values'?)"),
        ("log_uniform, min: -1000, max: 0", "(did you mean 'log_uniform_values'?)"),
        ("log_normal, mu: 800", "beyond the largest float"),
    ],
)
def test_exponents_that_lead_beyond_all_numbers(problems: Problems, method: str, entry: str, hint: str) -> None:
    (found,) = problems(one(f"lr: {{distribution: {entry}}}", method))
    assert found.startswith("5:3: parameters.lr: the arguments of")
    assert found.endswith(hint)


P = "parameters: {lr: {value: 1}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (P, ["1:1: method is missing; write method: grid or random"]),
        ("method: grid", ["1:1: parameters is missing;"]),
        ("method: grid\nparameters: {}", ["2:1: parameters: no parameters; an empty grid trains nothing"]),
        ("method: grid\nparameters:", ["2:1: parameters: nothing is not a mapping"]),
        ("- method", ["1:1: a list is not a mapping"]),
        (f"method: bayes\n{P}", ["1:9: method: bayes needs run_cap, the number of trials; write run_cap: 20"]),
        (f"method: custom\n{P}", ["1:9: method: custom is not in this version; it has grid, random, bayes"]),
        (f"method: Grid\n{P}", ["1:9: method: 'Grid' is not one of grid, random, bayes (did you mean 'grid'?)"]),
        (f"method: [grid]\n{P}", ["1:9: method: a list is not one of grid, random"]),
        (f"method: random\n{P}", ["1:9: method: random needs run_cap, the number of trials; write run_cap: 20"]),
        (f"method: random\nrun_cap: 0\n{P}", ["2:10: run_cap: 0 is below 1"]),
        (f"method: random\nrun_cap: true\n{P}", ["2:10: run_cap: true is not a whole number"]),
        (f"method: grid\nrun_cap: 5\n{P}", ["2:1: run_cap: a grid trains exactly the trials it lists;"]),
        (f"method: grid\nmethd: x\n{P}", ["2:1: methd: unknown key; allowed: name, method, "]),
        (f"method: grid\nname: 5\n{P}", ["2:7: name: 5 is not a text; write it in quotes"]),
        (f"method: grid\nname: a b\n{P}", ["2:7: name: 'a b'; a sweep's name has at most 120 characters"]),
        (f"method: grid\nname: ../a\n{P}", ["2:7: name: '../a'; a sweep's name"]),
        (f'method: grid\nname: "a\\u0007"\n{P}', ["2:7: name: 'a\\x07'; a sweep's name"]),
        (f"method: grid\nname: {'a' * 121}\n{P}", ["2:7: name: 'aaa"]),
        (f"method: grid\nmetric: val/error\n{P}", ["2:9: metric: 'val/error' is not a mapping"]),
        (f"method: grid\nmetric: {{goal: minimize}}\n{P}", ["2:1: metric: name is missing;"]),
        (f"method: grid\nmetric: {{name: val/eror}}\n{P}", ["2:16: metric.name: 'val/eror' is no curve of ct; allowed: train/loss, "]),
        (f"method: grid\nmetric: {{name: val/error, goal: min}}\n{P}", ["2:33: metric.goal: 'min' is not one of minimize, maximize"]),
        (f"method: grid\nmetric: 3\n{P}", ["2:9: metric: 3 is not a mapping"]),
        (f"method: grid\nproject: [a]\n{P}", ["2:10: project: a list is not a text;"]),
        (
            "method: grid\nparameters: {algorithm: {value: nfft}, eta: {value: 1}}",
            ["2:33: parameters.algorithm.value: 'nfft' is not"],
        ),
        ("method: grid\nparameters: {algorithm: {value: 3}}", ["2:33: parameters.algorithm.value: 3 is not one of"]),
        ("method: grid\nparameters: {algorithm: {min: 1, max: 2}}", ["2:14: parameters.algorithm: algorithm needs value or values"]),
        (
            "method: grid\nparameters: {eta_max: {value: 1}}",
            ["2:14: parameters.eta_max: does not apply to ct (no algorithm is given); eta_max belongs to nft"],
        ),
    ],
)
def test_problems_of_the_top(problems: Problems, text: str, expected: list[str]) -> None:
    found = problems(text)
    assert len(found) == len(expected)
    assert all(a.startswith(b) for a, b in zip(found, expected, strict=True)), found


def test_all_problems_come_at_once_in_file_order(problems: Problems) -> None:
    found = problems(
        "name: a b\nmethod: gird\nparameters:\n  algorithm: {values: [ct, nft]}\n  lr: {values: [1, 1]}\n  eta_max: 3\n"
        "nftlab:\n  seeds: 0\n  priorty: 1\n"
    )
    assert [problem.split(" ")[0] + problem.split(" ")[1] for problem in found] == [
        "1:7:name:",
        "2:9:method:",
        "5:20:parameters.lr.values:",
        "6:12:parameters.eta_max:",
        "8:10:nftlab.seeds:",
        "9:3:nftlab.priorty:",
    ]


@pytest.mark.parametrize("head", ["method: gird", "method: random\nrun_cap: 4", "method: bayes\nrun_cap: 4", "method: random"])
def test_what_could_be_read_is_checked_beside_what_could_not(problems: Problems, head: str) -> None:
    parameters = "  network: {values: [fc-a, cnn-z]}\n  lr: {min: 2, max: 1}\n  epochs: {value: 0}\n  foo: {value: 1}\n"
    found = problems(f"{head}\nparameters:\n{parameters}")
    told = [problem.split(": ", 1)[1] for problem in found]
    for what in (
        "parameters.network.values: 'cnn-z'",
        "parameters.lr: min 2",
        "parameters.epochs.value: 0 ",
        "parameters.foo: does not apply",
    ):
        assert [line.startswith(what) for line in told].count(True) == 1, told


@pytest.mark.parametrize(
    ("listed", "metric", "told"),
    [
        ("[nft]", "nft/delta", None),
        ("[nft]", "nft/bogus", "'nft/bogus' is no curve of nft; allowed: train/loss,"),
        (
            "[ct, nft]",
            "nft/delta",
            "'nft/delta' is no curve of ct; allowed: train/loss, train/error, val/loss, val/error, test/loss, test/error",
        ),
        ("[ct, eef]", "nft/eta", "'nft/eta' is no curve of ct and eef;"),
        ("[ct]", "''", "'' is no curve of ct;"),
    ],
)
def test_a_metric_is_a_curve_of_every_listed_algorithm(problems: Problems, listed: str, metric: str, told: str | None) -> None:
    found = problems(f"method: grid\nmetric: {{name: {metric}}}\nparameters: {{algorithm: {{values: {listed}}}}}\n")
    assert len(found) == (told is not None)
    assert all(problem.startswith(f"2:16: metric.name: {told}") for problem in found), found


def test_nothing_is_said_of_values_that_nobody_wrote(problems: Problems) -> None:
    """The ends of ranges are not drawn, and what a list of algorithms that cannot be read would record is not known."""
    ranges = "data_share: {min: 0.0, max: 1.0}, lr: {distribution: normal, mu: 0.001, sigma: 0.0004}"
    for head in ("method: random\nrun_cap: 5", "method: random", "run_cap: 5"):
        (found, *others) = problems(f"{head}\nparameters: {{{ranges}, epochs: {{valu: 3}}}}")
        assert len(others) == (head != "method: random\nrun_cap: 5"), [found, *others]
    assert len(problems("method: grid\nmetric: {name: nft/eta}\nparameters: {algorithm: nft}")) == 1
    assert len(problems("method: grid\nmetric: {name: nft/eta}\n")) == 1
    assert len(problems("method: bayes\nrun_cap: 2\nmetric: {name: test/eror}\nparameters: {lr: {min: 0.1, max: 1}}")) == 1


def test_the_metric_of_a_stored_file_is_believed(problems: Problems) -> None:
    text = "method: grid\nmetric: {name: test/error}\nparameters: {lr: {value: 1}}\nnftlab: {pruner: {name: median}}\n"
    assert problems(text)
    assert load_text(text, stored=True).metric.name == "test/error"
    assert pruner_of(text) is not None
