//! The linear stage: a conditional logit over the candidates of a group.
//!
//! McFadden's model: a candidate's probability of being bought is the softmax of its weighted features within its
//! group. The target is the hidden basket, spread evenly over its products that are candidates. The loss is the mean
//! cross entropy of the groups with such products, plus `L2 · |w − w0|²` on standardised features; `w0` is 1 on
//! feature 0, the logarithm of the hand formula's score, and 0 elsewhere. So with few examples the hand formula
//! stays, and with none the result is the hand formula.
//!
//! The loss is strictly convex, hence there is one answer, and Newton's method finds it in some six steps.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "vectors and the matrix have one entry per column; counts of rows are far below 2^52"
)]

use super::examples::{Group, View};
use super::parallel;
use std::num::NonZero;

/// Strength of the pull towards the hand formula.
const L2: f64 = 0.003;
/// Added to standard deviations: a constant column then has weight 0.
const LEAST_DEVIATION: f64 = 1e-6;
const MAX_STEPS: usize = 100;
/// Half the squared Newton decrement, an estimate of what is left to gain, below which the next step is the last.
const CLOSE: f64 = 1e-10;
/// Groups whose sums are one term of the whole sum. Fixed, so that the order of the additions does not depend on
/// the number of threads.
const BLOCK: usize = 32;

/// A weight per feature. The first is the hand formula's.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearWeights(Vec<f64>);

impl LinearWeights {
    /// Weights from elsewhere, such as from a stored ranker.
    pub fn new(weights: Vec<f64>) -> Self {
        Self(weights)
    }

    /// The hand formula alone.
    pub fn hand_formula(columns: usize) -> Self {
        let mut weights = vec![0.0; columns];
        weights.iter_mut().take(1).for_each(|weight| *weight = 1.0);
        Self(weights)
    }

    /// In the order of the features.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// The weighted sum of the features of a candidate.
    pub fn score(&self, features: &[f32]) -> f64 {
        self.0.iter().zip(features).map(|(weight, &feature)| weight * f64::from(feature)).sum()
    }

    /// Writes the scores of the groups of a view into a list with one number per row of all the examples.
    pub fn write_scores(&self, view: &View<'_>, scores: &mut [f64]) {
        let columns = view.examples().columns();
        for group in view.groups() {
            let values = view.examples().values(group.rows());
            if let Some(scores) = scores.get_mut(group.rows()) {
                for (score, row) in scores.iter_mut().zip(values.chunks_exact(columns.max(1))) {
                    *score = self.score(row);
                }
            }
        }
    }
}

/// The weights that minimise the loss.
///
/// Time: some six passes, each with `columns²/2` multiplications per candidate. Memory beside the examples: small.
pub fn fit(view: &View<'_>, threads: NonZero<usize>) -> LinearWeights {
    let columns = view.examples().columns();
    let problem = Problem::new(view, threads);
    if problem.groups.is_empty() || columns == 0 {
        return LinearWeights::hand_formula(columns);
    }
    let mut weights = problem.prior.clone();
    let mut here = problem.evaluate(&weights, threads);
    for _ in 0..MAX_STEPS {
        let Some(step) = solve(&here.hessian, &here.gradient) else { break };
        let decrement = dot(&here.gradient, &step) / 2.0;
        let moved = |length: f64| -> Vec<f64> {
            weights.iter().zip(&step).map(|(weight, step)| weight - length * step).collect()
        };
        if decrement < CLOSE {
            // The error squares with each step: what is left then is rounding.
            weights = moved(1.0);
            break;
        }
        let shorter = std::iter::successors(Some(1.0), |length| Some(length / 2.0)).take(40);
        let better = shorter.map(|length| (length, moved(length))).find_map(|(length, weights)| {
            let there = problem.evaluate(&weights, threads);
            (there.loss <= here.loss - 0.1 * length * decrement).then_some((weights, there))
        });
        let Some(better) = better else { break };
        (weights, here) = better;
    }
    problem.raw(&weights)
}

/// The loss as a function of the weights on standardised features.
#[derive(Debug)]
struct Problem<'v, 'e> {
    view: &'v View<'e>,
    groups: Vec<Group>,
    mean: Vec<f64>,
    /// 1 / standard deviation, 0 for features that are not learned from.
    scale: Vec<f64>,
    prior: Vec<f64>,
}

/// Loss, its gradient, and the lower triangle of its second derivatives, row by row.
#[derive(Debug, Clone)]
struct Evaluated {
    loss: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
}

impl<'v, 'e> Problem<'v, 'e> {
    fn new(view: &'v View<'e>, threads: NonZero<usize>) -> Self {
        let columns = view.examples().columns();
        let rows = view.groups().iter().map(|group| group.rows().len()).sum::<usize>().max(1) as f64;
        let over_rows = |term: &(dyn Fn(usize, f64) -> f64 + Sync)| -> Vec<f64> {
            let blocks: Vec<&[Group]> = view.groups().chunks(BLOCK).collect();
            let sums = parallel::map(blocks, threads, |groups| {
                let mut sums = vec![0.0; columns];
                for group in groups {
                    for row in view.examples().values(group.rows()).chunks_exact(columns.max(1)) {
                        for (column, (sum, &value)) in sums.iter_mut().zip(row).enumerate() {
                            *sum += term(column, f64::from(value));
                        }
                    }
                }
                sums
            });
            let mut means = vec![0.0; columns];
            sums.iter().for_each(|sums| add(&mut means, sums));
            means.iter().map(|sum| sum / rows).collect()
        };
        let mean = over_rows(&|_, value| value);
        let variance = over_rows(&|column, value| (value - mean[column]).powi(2));
        let deviation = variance.iter().map(|variance| variance.sqrt() + LEAST_DEVIATION);
        let deviation: Vec<f64> = deviation.collect();
        let used = |column| if column == 0 || view.uses(column) { 1.0 } else { 0.0 };
        let scale =
            deviation.iter().enumerate().map(|(column, deviation)| used(column) / deviation).collect();
        let mut prior = vec![0.0; columns];
        prior.iter_mut().zip(&deviation).take(1).for_each(|(prior, deviation)| *prior = *deviation);
        Self { view, groups: view.groups_with_hits(), mean, scale, prior }
    }

    /// Weights on the features as they are.
    fn raw(&self, weights: &[f64]) -> LinearWeights {
        LinearWeights(weights.iter().zip(&self.scale).map(|(weight, scale)| weight * scale).collect())
    }

    fn evaluate(&self, weights: &[f64], threads: NonZero<usize>) -> Evaluated {
        let columns = weights.len();
        let blocks: Vec<&[Group]> = self.groups.chunks(BLOCK).collect();
        let parts = parallel::map(blocks, threads, |groups| {
            let mut sums = Evaluated::zero(columns);
            let mut standardised = Vec::new();
            groups.iter().for_each(|group| self.add_group(group, weights, &mut standardised, &mut sums));
            sums
        });
        let mut all = Evaluated::zero(columns);
        for part in parts {
            all.loss += part.loss;
            add(&mut all.gradient, &part.gradient);
            add(&mut all.hessian, &part.hessian);
        }
        let share = 1.0 / self.groups.len().max(1) as f64;
        all.loss *= share;
        all.gradient.iter_mut().chain(&mut all.hessian).for_each(|sum| *sum *= share);
        for (column, (weight, prior)) in weights.iter().zip(&self.prior).enumerate() {
            all.loss += L2 * (weight - prior).powi(2);
            all.gradient[column] += 2.0 * L2 * (weight - prior);
            all.hessian[triangle(column) + column] += 2.0 * L2;
        }
        all
    }

    /// Adds cross entropy, its gradient and its second derivatives: the covariance of the features under the softmax.
    fn add_group(&self, group: &Group, weights: &[f64], features: &mut Vec<f64>, sums: &mut Evaluated) {
        let columns = weights.len();
        let labels = self.view.examples().labels(group.rows());
        features.clear();
        for row in self.view.examples().values(group.rows()).chunks_exact(columns) {
            let each = row.iter().zip(&self.mean).zip(&self.scale);
            features.extend(each.map(|((&value, mean), scale)| (f64::from(value) - mean) * scale));
        }
        let scores: Vec<f64> = features.chunks_exact(columns).map(|row| dot(row, weights)).collect();
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut probabilities: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
        let total: f64 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|share| *share /= total);

        let target = 1.0 / labels.iter().filter(|&&hit| hit).count().max(1) as f64;
        let mut expected = vec![0.0; columns];
        for (row, &probability) in features.chunks_exact(columns).zip(&probabilities) {
            add_scaled(&mut expected, row, probability);
        }
        add(&mut sums.gradient, &expected);
        for ((row, score), _) in
            features.chunks_exact(columns).zip(&scores).zip(labels).filter(|&(_, &hit)| hit)
        {
            sums.loss -= target * (score - highest - total.ln());
            add_scaled(&mut sums.gradient, row, -target);
        }
        for (row, &probability) in features.chunks_exact_mut(columns).zip(&probabilities) {
            row.iter_mut().zip(&expected).for_each(|(feature, expected)| *feature -= expected);
            for (column, &feature) in row.iter().enumerate() {
                let line = &mut sums.hessian[triangle(column)..triangle(column + 1)];
                add_scaled(line, row, probability * feature);
            }
        }
    }
}

impl Evaluated {
    fn zero(columns: usize) -> Self {
        Self { loss: 0.0, gradient: vec![0.0; columns], hessian: vec![0.0; triangle(columns)] }
    }
}

/// Where a row of a lower triangle starts.
fn triangle(row: usize) -> usize {
    row * (row + 1) / 2
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sums: &mut [f64], terms: &[f64]) {
    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
}

/// Adds to as many sums as there are.
fn add_scaled(sums: &mut [f64], terms: &[f64], factor: f64) {
    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += factor * term);
}

/// Solves `matrix · x = right` by Cholesky's decomposition; none if the matrix is not positive definite.
fn solve(matrix: &[f64], right: &[f64]) -> Option<Vec<f64>> {
    let columns = right.len();
    let mut factor = matrix.to_vec();
    for row in 0..columns {
        for column in 0..=row {
            let (line, above) = (triangle(row), triangle(column));
            let known = dot(&factor[line..line + column], &factor[above..above + column]);
            let rest = factor[line + column] - known;
            if row == column {
                if rest <= 0.0 || !rest.is_finite() {
                    return None;
                }
                factor[line + column] = rest.sqrt();
            } else {
                factor[line + column] = rest / factor[above + column];
            }
        }
    }
    let mut solution = right.to_vec();
    for row in 0..columns {
        let line = triangle(row);
        let known = dot(&factor[line..line + row], &solution[..row]);
        solution[row] = (solution[row] - known) / factor[line + row];
    }
    for row in (0..columns).rev() {
        solution[row] /= factor[triangle(row) + row];
        let value = solution[row];
        for column in 0..row {
            solution[column] -= value * factor[triangle(row) + column];
        }
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranker::examples::Examples;
    use proptest::prelude::*;

    /// Numbers that a few lines of another language can make as well.
    fn generated(groups: u32) -> Examples {
        let mut examples = Examples::new(4);
        for group in 0..groups {
            let (mut values, mut labels) = (Vec::new(), Vec::new());
            for row in group * 6..group * 6 + 6 {
                let column = |at: u32, width: u32| (row * (7 + 12 * at) % width) as f32;
                values.extend([-column(0, 11) / 4.0, column(1, 13), column(2, 17) * 0.1, 2.5]);
                labels.push(column(1, 13) + column(2, 17) > 17.0 || row % 29 == 3);
            }
            let hits = labels.iter().filter(|&&hit| hit).count();
            examples.push(&values, &labels, u32::try_from(hits).unwrap() + 1, 0).unwrap();
        }
        examples
    }

    #[test]
    fn weights_are_those_that_scipy_finds() {
        // scipy.optimize.minimize(method="L-BFGS-B", gtol=1e-12, ftol=1e-16) on the loss of this module.
        let expected = [0.128_059_494, 0.256_250_057, 2.449_766_632, 0.0];
        let weights = fit(&generated(40).all(), NonZero::<usize>::MIN);
        for (found, expected) in weights.as_slice().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{weights:?}");
        }
    }

    #[test]
    fn the_gradient_and_second_derivatives_are_those_of_finite_differences() {
        let examples = generated(9);
        let view = examples.all();
        let problem = Problem::new(&view, NonZero::<usize>::MIN);
        let at = [0.3, -0.2, 0.7, 0.1];
        let here = problem.evaluate(&at, NonZero::<usize>::MIN);
        for column in 0..4 {
            let moved = |step: f64| {
                let mut at = at;
                at[column] += step;
                problem.evaluate(&at, NonZero::<usize>::MIN)
            };
            let (after, before) = (moved(1e-5), moved(-1e-5));
            let slope = (after.loss - before.loss) / 2e-5;
            assert!((here.gradient[column] - slope).abs() < 1e-9, "{column}: {slope} {here:?}");
            for other in 0..=column {
                let bend = (after.gradient[other] - before.gradient[other]) / 2e-5;
                let found = here.hessian[triangle(column) + other];
                assert!((found - bend).abs() < 1e-8, "{column}, {other}: {bend} {here:?}");
            }
        }
    }

    #[test]
    fn without_a_hit_the_hand_formula_stays() {
        let mut examples = Examples::new(3);
        assert_eq!(fit(&examples.all(), NonZero::<usize>::MIN), LinearWeights::hand_formula(3));
        examples.push(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[false, false], 2, 0).unwrap();
        assert_eq!(fit(&examples.all(), NonZero::<usize>::MIN), LinearWeights::hand_formula(3));
        assert_eq!(fit(&Examples::new(0).all(), NonZero::<usize>::MIN), LinearWeights::hand_formula(0));
    }

    #[test]
    fn constant_and_unused_columns_have_weight_0_and_change_nothing() {
        let examples = generated(40);
        let weights = fit(&examples.all(), NonZero::<usize>::MIN);
        assert!(weights.as_slice()[3].abs() < 1e-9, "{weights:?}");
        let fewer = fit(&examples.all().without(&[2, 3]), NonZero::<usize>::MIN);
        assert_eq!(fewer.as_slice()[2..], [0.0, 0.0]);
        assert!((fewer.as_slice()[1] - weights.as_slice()[1]).abs() > 1e-3, "{fewer:?} {weights:?}");
    }

    #[test]
    fn the_number_of_threads_does_not_show_in_the_weights() {
        let examples = generated(200);
        let one = fit(&examples.all(), NonZero::<usize>::MIN);
        for threads in [2, 3, 16] {
            assert_eq!(fit(&examples.all(), NonZero::new(threads).unwrap()), one);
        }
    }

    #[test]
    fn scores_are_written_for_the_groups_of_the_view_alone() {
        let examples = generated(2);
        let weights = LinearWeights::new(vec![1.0, 0.5, 0.0, 2.0]);
        let mut scores = vec![f64::NAN; examples.rows()];
        weights.write_scores(&examples.view(|group| group.rows().start == 6), &mut scores);
        assert!(scores[..6].iter().all(|score| score.is_nan()));
        let row = examples.values(7..8);
        assert_eq!(scores[7], f64::from(row[0]) + 0.5 * f64::from(row[1]) + 5.0);
    }

    proptest! {
        #[test]
        fn weights_are_finite_whatever_the_features(
            groups in prop::collection::vec(
                prop::collection::vec(
                    (prop_oneof![-1e38f32..1e38, -1e-30f32..1e-30, Just(3.0f32), -20f32..20.0], -1f32..1.0, any::<bool>()),
                    1..6,
                ),
                1..6,
            ),
        ) {
            let mut examples = Examples::new(3);
            for group in &groups {
                let values: Vec<f32> = group.iter().flat_map(|&(a, b, _)| [b, a, a]).collect();
                let labels: Vec<bool> = group.iter().map(|&(_, _, label)| label).collect();
                examples.push(&values, &labels, 9, 0).unwrap();
            }
            let weights = fit(&examples.all(), NonZero::<usize>::MIN);
            prop_assert!(weights.as_slice().iter().all(|weight| weight.is_finite()), "{:?}", weights);
        }
    }
}
