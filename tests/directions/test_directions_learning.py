"""Planted attributes are recovered: by regression, exemplars, PCA and factorization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import small_generator, small_mobile
from torch import Tensor

from directions.diagnostics import correlation, measure
from directions.direction import Direction, unit
from directions.exemplars import from_exemplars
from directions.pca import principal_directions
from directions.regression import learn, score_along, strongest_good_penalty
from directions.sefa import affines, factorize
from directions.w_space import WSpace
from invert.errors import UsageError
from invert.generator import Generator
from invert.networks.network import MappingNetwork, SynthesisNetwork

DIM = 64


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def planted(count: int = 1500, seed: int = 0) -> tuple[WSpace, Tensor, Tensor]:
    """A W of unequal variances, samples of it, and two orthogonal truths [2, DIM]."""
    scales = torch.linspace(2, 0.3, DIM)
    space = WSpace("planted", torch.randn(4000, DIM, generator=rng(seed)) * scales)
    ws = torch.randn(count, DIM, generator=rng(seed + 1)) * scales
    truths = torch.linalg.qr(torch.randn(DIM, 2, generator=rng(seed + 2))).Q.T
    return space, ws, truths


def cosine(a: Tensor, b: Tensor) -> float:
    return F.cosine_similarity(a, b, dim=0).item()


# -- regression


def test_a_linear_attribute_is_recovered() -> None:
    space, ws, (truth, _) = planted()
    scores = 3 * ws @ truth + 7 + 0.5 * torch.randn(len(ws), generator=rng(9))
    d = learn(ws, scores, name="x", space=space, meaning="more x")
    assert cosine(d.vectors, truth) > 0.95
    assert d.source["method"] == "linear regression"
    assert d.measured["held_out"] > 0.95
    assert d.measured["cross_validated"] > 0.95
    assert math.isclose(d.sigma, space.samples.matmul(d.vectors).std().item(), rel_tol=1e-3)
    assert (d.w_space, d.meaning) == ("planted", "more x")


def test_a_binary_attribute_is_recovered() -> None:
    space, ws, (truth, _) = planted(4000)
    d = learn(
        ws,
        (ws @ truth + 0.2 * torch.randn(len(ws), generator=rng(9)) > 1).double(),
        name="x",
        space=space,
    )
    assert cosine(d.vectors, truth) > 0.95
    assert d.source["method"] == "logistic regression"
    assert d.measured["metric"] == "balanced accuracy"
    assert d.measured["held_out"] > 0.9


def test_probabilities_are_split_at_one_half_and_other_scores_at_the_median() -> None:
    space, ws, (truth, _) = planted()
    raw = ws @ truth
    d = learn(ws, torch.sigmoid(4 * raw - 4), name="x", space=space, kind="logistic")
    assert d.source["threshold"] == 0.5
    d = learn(ws, 10 + raw, name="x", space=space, kind="logistic")
    assert d.source["threshold"] == pytest.approx(10 + raw.double().quantile(0.5).item(), abs=1e-6)
    assert cosine(d.vectors, truth) > 0.9


def test_the_sign_is_that_of_the_scores() -> None:
    space, ws, (truth, _) = planted()
    for kind in ("linear", "logistic"):
        up = learn(ws, ws @ truth, name="x", space=space, kind=kind)
        down = learn(ws, -(ws @ truth), name="x", space=space, kind=kind)
        assert cosine(up.vectors, truth) > 0.9
        assert cosine(up.vectors, down.vectors) < -0.95


def test_a_direction_learned_against_others_is_orthogonal_to_them() -> None:
    space, ws, (a, b) = planted()
    other = learn(ws, ws @ a, name="a", space=space)
    mixed = learn(ws, ws @ (a + b), name="mixed", space=space)
    assert cosine(mixed.vectors, other.vectors) > 0.5
    clean = learn(ws, ws @ (a + b), name="clean", space=space, against=[other])
    assert abs(cosine(clean.vectors, other.vectors)) < 1e-5
    assert cosine(clean.vectors, b) > 0.95
    assert clean.source["orthogonal_to"] == ["a"]
    assert clean.measured["held_out"] < mixed.measured["held_out"]


def test_the_penalty_is_the_strongest_that_scores_within_the_tolerance() -> None:
    for scores, expected in (
        ([0.8, 0.9, 0.88, 0.871, 0.869], 3),
        ([0.9, 0.8, 0.7], 0),
        ([-3.0, -1.0], 1),
    ):
        assert strongest_good_penalty({"mean_test_score": np.array(scores)}) == expected


def test_scores_without_meaning_are_measured_as_such() -> None:
    space, ws, _ = planted()
    d = learn(ws, torch.randn(len(ws), generator=rng(5)), name="x", space=space)
    assert d.measured["held_out"] < 0.1
    d = learn(ws, (torch.rand(len(ws), generator=rng(5)) > 0.8).double(), name="x", space=space)
    assert abs(d.measured["held_out"] - d.measured["chance"]) < 0.1


def test_few_random_scores_do_no_better_than_chance() -> None:
    space, ws, _ = planted(20 * 20)
    held_out = [
        learn(part, torch.randn(20, generator=rng(k)), name="x", space=space, seed=k).measured
        for k, part in enumerate(ws.split(20))
    ]
    assert {m["chance"] for m in held_out} == {0.0}
    assert np.mean([m["held_out"] for m in held_out]) < 0.05


def test_the_held_out_score_is_that_of_the_training_line_with_its_sign() -> None:
    x = np.linspace(-1, 1, 40)[:, None]
    train, test = np.arange(0, 40, 2), np.arange(1, 40, 2)
    vector = torch.ones(1)
    assert score_along(vector, x, 5 - 3 * x[:, 0], train, test) == pytest.approx(1)
    against = x[:, 0].copy()
    against[test] *= -1
    assert score_along(vector, x, against, train, test) == pytest.approx(-3, abs=0.1)
    flat = x[:, 0].copy()
    flat[test] = 0
    assert score_along(vector, x, flat, train, test) <= 0


def w_plus(ws: Tensor, styles: slice) -> Tensor:
    """Codes [N, 4, DIM] with w in a range of styles and other points of W in the rest."""
    codes = ws.flip(0)[:, None].repeat(1, 4, 1)
    codes[:, styles] = ws[:, None] + 0.3 * torch.randn(ws.shape[0], 2, DIM, generator=rng(7))
    return codes


def test_w_plus_codes_count_as_the_mean_of_their_styles_in_the_range() -> None:
    space, ws, (truth, _) = planted()
    codes, scores = w_plus(ws, slice(0, 2)), ws @ truth
    d = learn(codes, scores, name="x", space=space, styles=(0, 2))
    mean = learn(codes[:, :2].mean(1), scores, name="x", space=space, styles=(0, 2))
    assert torch.equal(d.vectors, mean.vectors)
    assert d.measured == mean.measured
    assert cosine(d.vectors, truth) > 0.9
    # The rest of the styles, and all of them, tell less.
    everything = learn(codes, scores, name="x", space=space).measured["held_out"]
    rest = learn(codes, scores, name="x", space=space, styles=(2, 4)).measured["held_out"]
    assert rest < 0.1 < everything < d.measured["held_out"]
    # Equal styles are w.
    equal = learn(ws[:, None].expand(-1, 4, -1), scores, name="x", space=space)
    assert cosine(equal.vectors, learn(ws, scores, name="x", space=space).vectors) > 0.9999


def test_a_range_outside_the_codes_is_refused() -> None:
    space, ws, (truth, _) = planted(40)
    with pytest.raises(UsageError, match="styles 2 to 4: expected a range within 0 to 3, both"):
        learn(w_plus(ws, slice(0, 2)), ws @ truth, name="x", space=space, styles=(2, 5))


def test_learning_twice_gives_the_same_direction() -> None:
    space, ws, (truth, _) = planted(200)
    a, b = (learn(ws, ws @ truth, name="x", space=space) for _ in range(2))
    assert torch.equal(a.vectors, b.vectors)
    assert a.measured == b.measured


def test_samples_that_cannot_teach_are_refused() -> None:
    space, ws, (a, _) = planted(100)
    good = ws @ a
    wrong: list[tuple[Tensor, Tensor, dict[str, Any], str]] = [
        (ws[:19], good[:19], {}, "at least 20 samples, got 19"),
        (ws, good[:50], {}, r"and scores \[N\], got \[100, 64\] and \[50\]"),
        (ws[:, :9], good, {}, r"expected ws \[N, 64\] or \[N, num_ws, 64\].*got \[100, 9\]"),
        (ws, good * math.nan, {}, "finite latents and scores"),
        (ws, torch.ones(100), {}, "scores that differ, all are 1"),
        (
            ws,
            (torch.arange(100) < 9).double(),
            {},
            "at least 10 samples of each class, got 9 and 91",
        ),
        (ws, good, {"kind": "svm"}, "kind is 'auto', 'logistic' or 'linear', got 'svm'"),
        (
            ws,
            good,
            {"against": [learn(ws, good, name="same", space=space)]},
            "nothing is left beside same",
        ),
        (
            ws,
            good,
            {"against": [Direction("layers", unit(torch.ones(4, DIM)), 1)]},
            "'layers' is not",
        ),
    ]
    for x, y, options, message in wrong:
        with pytest.raises(UsageError, match=message):
            learn(x, y, name="x", space=space, **options)


# -- exemplars


def test_many_exemplars_recover_what_tells_them_apart() -> None:
    space, ws, (truth, _) = planted(600)
    ws = ws - (ws @ truth)[:, None] * truth  # nothing but the attribute differs on purpose
    d = from_exemplars(ws[:300] + 4 * truth, ws[300:], name="x", space=space, styles=(0, 4))
    assert cosine(d.vectors, truth) > 0.9
    assert d.styles == (0, 4)
    assert d.measured["gap_leave_one_out"] * d.sigma == pytest.approx(4, rel=0.2)


def test_the_leave_one_out_gap_of_random_groups_is_near_zero() -> None:
    space, ws, _ = planted(60)
    d = from_exemplars(ws[:30], ws[30:], name="x", space=space)
    assert d.measured["gap"] > 0.5
    assert abs(d.measured["gap_leave_one_out"]) < 0.5


def test_exemplars_in_w_plus_give_one_vector_per_layer() -> None:
    space, ws, (truth, _) = planted(40)
    per_layer = torch.stack([ws, ws], 1)
    positive = per_layer.clone()
    positive[:, 1] += 3 * truth
    d = from_exemplars(positive, per_layer, name="x", space=space)
    assert d.vectors.shape == (2, DIM)
    assert not d.vectors[0].any()
    assert cosine(d.vectors[1], truth) > 0.999
    assert (
        "gap_leave_one_out"
        not in from_exemplars(positive[:1], per_layer, name="x", space=space).measured
    )


def test_exemplars_that_do_not_fit_are_refused() -> None:
    space, ws, _ = planted(10)
    for a, b in ((ws, ws[:0]), (ws[:, :3], ws[:, :3]), (ws, ws[:, None]), (ws[0], ws[0])):
        with pytest.raises(UsageError, match=r"expected positive and negative exemplars \[N, 64\]"):
            from_exemplars(a, b, name="x", space=space)
    with pytest.raises(UsageError, match="must not be zero"):
        from_exemplars(ws, ws, name="x", space=space)


# -- PCA and SeFa


def test_principal_directions_are_orthonormal_and_sorted_by_their_sigmas() -> None:
    generator = small_generator()
    found = principal_directions(generator, 5, samples=4000, styles=(0, 3))
    v = torch.stack([d.vectors for d in found])
    torch.testing.assert_close(v @ v.T, torch.eye(5), atol=1e-5, rtol=0)
    sigmas = [d.sigma for d in found]
    assert sigmas == sorted(sigmas, reverse=True)
    space = WSpace.from_generator(generator, 4000)
    assert sigmas[0] >= max(
        space.std_along(F.normalize(r, dim=0)) for r in torch.randn(200, 32, generator=rng(0))
    )
    total = space.samples.var(0).sum().item()
    assert found[0].measured["variance_share"] == pytest.approx(sigmas[0] ** 2 / total, rel=1e-3)
    assert [d.name for d in found][:2] == ["pca-0", "pca-1"]
    assert found[0].styles == (0, 3)


@pytest.mark.parametrize("make", [small_generator, small_mobile])
def test_the_first_factor_amplifies_most(make: Any) -> None:
    generator: Generator = make()
    found = factorize(generator, (1, 4), 3)
    rows = F.normalize(
        torch.cat([a.weight for k in range(1, 4) for a in affines(generator.network, k)]).double(),
        dim=1,
    )

    def gain(v: Tensor) -> float:
        return (rows @ v.double()).square().sum().item()

    gains = [gain(d.vectors) for d in found]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] >= max(
        gain(F.normalize(r, dim=0)) for r in torch.randn(200, 32, generator=rng(0))
    )
    assert found[0].measured["eigenvalue"] == pytest.approx(gains[0] / len(rows), abs=1e-5)
    assert found[0].styles == (1, 4)
    assert found[0].source["rows"] == len(rows)


def test_run_time_gains_do_not_change_the_factors() -> None:
    generator = small_generator()
    before = factorize(generator, (0, 4), 4)
    for k in range(4):
        for a in affines(generator.network, k):
            a.weight.mul_(torch.rand(len(a.weight), 1, generator=rng(k)) + 0.5)
    after = factorize(generator, (0, 4), 4)
    for a, b in zip(before, after, strict=True):
        assert cosine(a.vectors, b.vectors) > 0.9999


@pytest.mark.parametrize("make", [small_generator, small_mobile])
def test_every_style_has_affines_of_its_own(make: Any) -> None:
    network = make().network
    found = [a for k in range(network.num_ws) for a in affines(network, k)]
    assert len(set(map(id, found))) == len(found)
    assert all(affines(network, k) for k in range(network.num_ws))


def test_the_names_of_factors_have_both_ends_of_the_range() -> None:
    d = factorize(small_generator(), (0, 5), 2)[1]
    assert d.name == "sefa-0-4-1"
    assert d.meaning == "factor 1 of the affine weights of styles 0-4"
    assert (d.styles, d.source["layers"]) == ((0, 5), [0, 5])
    assert factorize(small_generator(), None, 1)[0].name == "sefa-0-9-0"


def test_factors_of_all_styles_keep_no_range() -> None:
    assert factorize(small_mobile(), None, 1)[0].styles is None


def test_counts_and_styles_outside_are_refused() -> None:
    generator = small_generator()
    for count in (0, 33):
        with pytest.raises(UsageError, match=f"expected 1 to 32 components, got {count}"):
            principal_directions(generator, count)
        with pytest.raises(UsageError, match=f"expected 1 to 32 directions, got {count}"):
            factorize(generator, None, count)
    with pytest.raises(UsageError, match="more than 32 samples"):
        principal_directions(generator, 1, samples=32)
    for styles in ((0, 11), (3, 3), (-1, 2)):
        with pytest.raises(UsageError, match="expected a range within 0 to 9, both included"):
            factorize(generator, styles, 1)


def test_a_network_without_known_affines_says_so() -> None:
    class Unknown(SynthesisNetwork):
        architecture = "unknown"
        mapping: MappingNetwork
        start = noise_const = run = reads = finish = None

    with pytest.raises(UsageError, match="no affine layers are known in a unknown"):
        affines(Unknown(), 0)


# -- measuring


def test_a_direction_of_the_space_is_told_from_noise() -> None:
    space, ws, (truth, _) = planted()
    known = learn(ws, ws @ truth, name="known", space=space)
    strong = unit(torch.eye(DIM)[0])  # the axis along which this W spreads most
    seen = measure(Direction("strong", strong, space.std_along(strong)), space)
    assert seen.meaningful
    assert seen.spread_ratio > seen.random_range[1]
    near = measure(
        Direction("near", unit(truth + 0.1 * torch.randn(DIM, generator=rng(1))), 1), space, [known]
    )
    assert near.meaningful
    assert near.cosines["known"] > 0.5
    noise = 0
    for k in range(40):
        found = measure(
            Direction("noise", unit(torch.randn(DIM, generator=rng(100 + k))), 1), space, [known]
        )
        noise += not found.meaningful
        assert ("noise" in found.verdict) == (not found.meaningful)
    assert noise >= 37


def test_leakage_is_the_change_of_the_linear_score_per_sigma() -> None:
    space, ws, (a, b) = planted()
    first, second = (learn(ws, ws @ t, name=n, space=space) for n, t in (("a", a), ("b", a + b)))
    found = measure(first, space, [first, second])
    moved = ws + first.offset(1, 1)
    change = ((moved - ws) @ second.vectors / second.sigma).mean().item()
    assert found.leakage["b"] == pytest.approx(change, rel=1e-4)
    assert found.leakage["a"] == pytest.approx(1, rel=1e-4)
    per_layer = Direction(
        "rows", torch.stack([first.vectors * math.sqrt(2), 0 * first.vectors]), first.sigma
    )
    assert measure(per_layer, space, [second]).leakage["b"] == pytest.approx(
        change * math.sqrt(2) / 2, rel=1e-4
    )
    assert found.to_json()["random_range"] == list(found.random_range)


def test_correlation_with_held_out_scores_is_that_of_the_projection() -> None:
    space, ws, (a, _) = planted()
    d = learn(ws[:1000], ws[:1000] @ a, name="a", space=space)
    held_out = ws[1000:], (ws @ a)[1000:]
    assert (measure(d, space, held_out=held_out).correlation or 0) > 0.99
    assert measure(d, space).correlation is None
    assert abs(correlation(d, ws[1000:], torch.randn(500, generator=rng(0)))) < 0.2
    with pytest.raises(UsageError, match="expected three or more ws"):
        correlation(d, ws[:2], torch.zeros(2))
    with pytest.raises(UsageError, match="direction 'narrow' is 3 wide, the W space 64"):
        measure(Direction("narrow", unit(torch.ones(3)), 1), space)


def test_w_plus_codes_correlate_by_what_the_direction_moves() -> None:
    space, ws, (a, _) = planted()
    codes, scores = w_plus(ws, slice(0, 2)), ws @ a
    early = Direction("early", unit(a), 1, styles=(0, 2))
    assert (measure(early, space, held_out=(codes, scores)).correlation or 0) > 0.95
    late = Direction("late", unit(a), 1, styles=(2, 4))
    assert abs(correlation(late, codes, scores)) < 0.1
    rows = torch.zeros(4, DIM)
    rows[:2] = a
    assert correlation(Direction("rows", unit(rows), 1), codes, scores) == pytest.approx(
        correlation(early, codes, scores)
    )
    equal = ws[:, None].expand(-1, 4, -1)
    for d in (early, Direction("rows", unit(rows), 1)):
        assert correlation(d, equal, scores) == pytest.approx(correlation(d, ws, scores))
    with pytest.raises(UsageError, match="direction 'short' has 3 styles, the generator 4"):
        correlation(Direction("short", unit(torch.ones(3, DIM)), 1), codes, scores)
