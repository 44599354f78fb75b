//! Methods compared on baskets that none of them has seen.

use super::bootstrap::{ResampleWeights, drawn, user_hash, user_state};
use super::learned::CompareError;
use super::method_scores::{Asked, Audience, MethodScores};
use super::methods::{ComparedModels, Method, Question};
use super::report::{ComparisonReport, GroupReport, PurchaseSummary};
use crate::catalogue::ProductIx;
use crate::counts::MergeError;
use crate::dataset::{Dataset, HeldOut};
use crate::params::Params;
use crate::score::History;
use std::collections::BTreeSet;
use std::num::NonZero;
use std::thread;

/// Which baskets are to be predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldOut {
    /// The newest one of each user; the others of all users are known, also later ones of other users.
    NewestBasket,
    /// The first one of each user from a point in time on; nothing from then on is known.
    Since {
        /// Milliseconds since 1970.
        time_ms: i64,
    },
}

/// How methods are compared.
#[derive(Debug, Clone)]
pub struct ComparisonOptions {
    /// Which baskets are to be predicted.
    pub hold_out: HoldOut,
    /// About how many users of each group are evaluated at most; all others are counted.
    pub max_users: u32,
    /// How many baskets of a user an answer knows.
    pub history_baskets: usize,
    /// Of the choice of users, of the hidden products of carts, and of the intervals.
    pub seed: u64,
    /// Does not show in the result.
    pub threads: NonZero<usize>,
    /// How the product's own model is counted.
    pub params: Params,
}

/// Of users with one basket only a tenth is evaluated as new users, so that the others can be counted.
const NEW_USERS: f64 = 0.1;
/// The numbers that a user's state is asked for, apart from those of the resampling.
const SAMPLE: u64 = u64::MAX - 1;
const HIDDEN: u64 = u64::MAX - 2;

/// Hides baskets, counts the others, and compares how well the methods predict what was hidden. `categories` names the
/// categories of a product id, in any order.
///
/// # Errors
/// [`CompareError`] if a parameter is out of its range, or sums do not fit their integers.
pub fn compare_methods(
    data: Dataset,
    options: &ComparisonOptions,
    categories: &dyn Fn(&str) -> Vec<String>,
) -> Result<ComparisonReport, CompareError> {
    let purchases = PurchaseSummary::of(&data);
    let (before, held) = hold_out(&data, options);
    drop(data);
    let models = ComparedModels::new(&before, &options.params, options.threads, categories)?;
    let context =
        Context { before: &before, options, audience: Audience::new(&before, &models.model().priors) };
    let (new, returning): (Vec<_>, Vec<_>) =
        held.iter().partition(|held| before.baskets_of(held.user).len() == 0);
    let questions =
        |held: &[&HeldOut]| -> Vec<Case> { held.iter().map(|held| context.user_case(held)).collect() };
    let carts: Vec<Case> = held.iter().filter_map(|held| context.cart_case(held)).collect();
    Ok(ComparisonReport {
        purchases,
        hold_out: options.hold_out,
        seed: options.seed,
        learned: models.learned().clone(),
        returning_users: context.group(&questions(&returning), &|| models.for_returning_users())?,
        new_users: context.group(&questions(&new), &|| models.for_new_users())?,
        carts: context.group(&carts, &|| models.for_carts())?,
    })
}

/// What is known, and the baskets that are to be predicted.
fn hold_out(data: &Dataset, options: &ComparisonOptions) -> (Dataset, Vec<HeldOut>) {
    let chosen = |id: &str, share: f64| {
        let place = drawn(user_state(options.seed, user_hash(id)), SAMPLE) >> 11;
        (place as f64) < share * (1u64 << 53) as f64
    };
    let share = |of: usize| f64::from(options.max_users) / of.max(1) as f64;
    match options.hold_out {
        HoldOut::NewestBasket => {
            let baskets = |user| data.baskets_of(user).len();
            let repeat = (0..data.user_count()).filter(|&user| baskets(user) > 1).count();
            let (repeat, once) = (share(repeat), share(data.user_count() as usize - repeat).min(NEW_USERS));
            data.hold_out(|id, times| match times.len() {
                0 => None,
                1 => chosen(id, once).then_some(0),
                all => chosen(id, repeat).then(|| all - 1),
            })
        }
        HoldOut::Since { time_ms } => {
            let (before, mut held) = data.hold_out(|_, times| {
                Some(times.partition_point(|&time| time < time_ms)).filter(|&first| first < times.len())
            });
            let is_new = |held: &HeldOut| before.baskets_of(held.user).len() == 0;
            let new = held.iter().filter(|held| is_new(held)).count();
            let (new, returning) = (share(new), share(held.len() - new));
            held.retain(|held| {
                let share = if is_new(held) { new } else { returning };
                chosen(before.user_id(held.user).unwrap_or_default(), share)
            });
            (before, held)
        }
    }
}

/// Something that is asked, and what was bought.
struct Case {
    user: u32,
    hash: u64,
    cart: Vec<ProductIx>,
    bought: BTreeSet<ProductIx>,
    at_ms: i64,
}

struct Context<'d> {
    before: &'d Dataset,
    options: &'d ComparisonOptions,
    audience: Audience,
}

impl Context<'_> {
    fn user_case(&self, held: &HeldOut) -> Case {
        Case {
            user: held.user,
            hash: user_hash(self.before.user_id(held.user).unwrap_or_default()),
            cart: Vec::new(),
            bought: Dataset::typed(&held.products).collect(),
            at_ms: held.time_ms,
        }
    }

    /// A basket without one of its products, which is to be predicted.
    fn cart_case(&self, held: &HeldOut) -> Option<Case> {
        let mut case = self.user_case(held);
        case.cart = Dataset::typed(&held.products).collect();
        let place =
            drawn(user_state(self.options.seed, case.hash), HIDDEN).checked_rem(case.cart.len() as u64)?;
        let hidden = case.cart.remove(usize::try_from(place).ok()?);
        case.bought = BTreeSet::from([hidden]);
        (!case.cart.is_empty()).then_some(case)
    }

    fn group<'m>(
        &self,
        cases: &[Case],
        methods: &(dyn Fn() -> Vec<Method<'m>> + Sync),
    ) -> Result<GroupReport, MergeError> {
        let work = |part: usize| {
            let mut methods: Vec<(Method<'m>, MethodScores)> =
                methods().into_iter().map(|method| (method, MethodScores::new(self.before))).collect();
            let mut weights = ResampleWeights::new();
            for case in cases.iter().skip(part).step_by(self.options.threads.get()) {
                let history = History::of_user(self.before, case.user, self.options.history_baskets);
                let known: BTreeSet<ProductIx> = history.products().collect();
                weights.draw(self.options.seed, case.hash);
                let question = Question { history: &history, cart: &case.cart, at_ms: case.at_ms };
                for (method, scores) in &mut methods {
                    let asked = Asked { bought: &case.bought, known: &known, weights: &weights };
                    scores.add(&method.list(&question), &asked, &self.audience);
                }
            }
            methods.into_iter().map(|(_, scores)| scores).collect::<Vec<_>>()
        };
        let work = &work;
        let scores: Vec<MethodScores> = thread::scope(|scope| {
            let workers: Vec<_> =
                (1..self.options.threads.get()).map(|part| scope.spawn(move || work(part))).collect();
            workers.into_iter().try_fold(work(0), |sum, worker| {
                let part = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                sum.into_iter().zip(part).map(|(sum, part)| sum.merge(&part)).collect::<Result<Vec<_>, _>>()
            })
        })?;
        let products = self.audience.products();
        Ok(GroupReport::new(cases.len() as u64, products as u64, &methods(), &scores))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Evaluation, ListEvaluator, MIN_USERS};
    use crate::{DatasetBuilder, train};

    const DAY: i64 = 86_400_000;

    /// Every user buys one of five bundles of three in every basket, and now and then a cracker; users from 60 on have
    /// bought once only.
    fn shop() -> Dataset {
        let mut builder = DatasetBuilder::new();
        for user in 0..120u32 {
            for basket in 0..if user < 60 { 4 } else { 1 } {
                let bundle = user % 5;
                let mut products: Vec<String> = (0..3).map(|part| format!("b{bundle}-{part}")).collect();
                if (user + basket) % 3 == 0 {
                    products.push(format!("cracker {}", (user + basket) % 7));
                }
                let time_ms = (i64::from(basket) * 30 + i64::from(user % 30)) * DAY;
                let products = products.iter().map(String::as_str);
                builder.push(&format!("user {user}"), &basket.to_string(), time_ms, products).unwrap();
            }
        }
        builder.build().unwrap()
    }

    fn options(hold_out: HoldOut) -> ComparisonOptions {
        ComparisonOptions {
            hold_out,
            max_users: 1_000,
            history_baskets: 100,
            seed: 1,
            threads: NonZero::<usize>::MIN,
            params: Params::default(),
        }
    }

    fn bundle_of(id: &str) -> Vec<String> {
        vec![id.split(['-', ' ']).next().unwrap_or_default().to_owned()]
    }

    fn compared(options: &ComparisonOptions) -> ComparisonReport {
        compare_methods(shop(), options, &bundle_of).unwrap()
    }

    fn mean(group: &GroupReport, method: &str, measure: impl Fn(&super::super::MeasuresAt) -> f64) -> f64 {
        let report = group.methods.iter().find(|report| report.method == method).unwrap();
        measure(report.at(5).unwrap())
    }

    #[test]
    fn the_number_of_threads_does_not_show() {
        for hold_out in [HoldOut::NewestBasket, HoldOut::Since { time_ms: 80 * DAY }] {
            let one = options(hold_out);
            let three = ComparisonOptions { threads: NonZero::new(3).unwrap(), ..one.clone() };
            assert_eq!(compared(&one), compared(&three));
        }
    }

    #[test]
    fn the_models_measures_are_those_of_its_own_evaluation() {
        let report = compared(&options(HoldOut::NewestBasket));
        let (before, held) = hold_out(&shop(), &options(HoldOut::NewestBasket));
        let model = train(&before, &Params::default(), NonZero::<usize>::MIN, &bundle_of).unwrap();
        let mut lists = ListEvaluator::new(&model.priors);
        let mut expected = Evaluation::new();
        for held in held.iter().filter(|held| before.baskets_of(held.user).len() > 0) {
            let history = History::of_user(&before, held.user, 100);
            let anchors = lists.anchors(&history);
            let list = lists.list(&history, &anchors, |product| Some(&model.rows[product.at()].next));
            let known: BTreeSet<ProductIx> = history.products().collect();
            let bought = Dataset::typed(&held.products).collect();
            expected.add(&list, &bought, |product| known.contains(&product));
        }
        let expected = expected.report();
        assert_eq!((report.returning_users.asked, expected.users), (60, 60));
        let methods = &report.returning_users.methods;
        let found = methods.iter().find(|method| method.method == "handFormula").unwrap();
        for (found, expected) in found.at.iter().zip(&expected.at) {
            let same = |estimate: Option<super::super::Estimate>, wanted: f64| {
                assert!((estimate.unwrap().mean - wanted).abs() < 1e-12, "{found:?} {expected:?}");
            };
            same(found.recall, expected.recall);
            same(found.ndcg, expected.ndcg);
            same(found.hit_rate, expected.hit_rate);
            same(found.repeat_recall, expected.repeat_recall);
            same(found.explore_recall, expected.explore_recall);
        }
        assert_eq!(found.at(20).unwrap().coverage, expected.coverage as u64);
        assert_eq!(methods.last().unwrap().at(20).unwrap().own_advantage, None);
    }

    #[test]
    fn differences_are_those_of_the_means_and_tell_the_better_method() {
        let users = compared(&options(HoldOut::NewestBasket)).returning_users;
        let recall = |method: &str| mean(&users, method, |at| at.recall.unwrap().mean);
        let advantage = users.methods[0].at(5).unwrap().own_advantage.unwrap().recall.unwrap();
        assert!((advantage.mean - (recall("ranker") - recall("gTopFreq"))).abs() < 1e-12);
        assert!(advantage.is_above(0.2), "{advantage:?}");
        assert_eq!(users.methods.iter().map(|method| method.at.len()).collect::<Vec<_>>(), [3; 7]);
    }

    #[test]
    fn a_ranker_that_is_better_is_the_reference_of_returning_users_alone() {
        let report = compared(&options(HoldOut::NewestBasket));
        assert!(report.learned.ranker_used && report.learned.hidden_baskets > 50, "{:?}", report.learned);
        assert!(report.learned.reason.starts_with("The ranker is used"), "{:?}", report.learned);
        let last = |group: &GroupReport| group.methods.last().unwrap().method;
        assert_eq!(last(&report.returning_users), "ranker");
        assert_eq!((last(&report.new_users), last(&report.carts)), ("handFormula", "handFormula"));
        let own = |method: &str| mean(&report.returning_users, method, |at| at.ndcg.unwrap().mean);
        assert_ne!(own("ranker").to_bits(), own("handFormula").to_bits());
    }

    #[test]
    fn repetition_novelty_and_coverage_are_those_of_the_lists() {
        let users = compared(&options(HoldOut::NewestBasket)).returning_users;
        // A user has bought a bundle of three and one or two kinds of cracker: P-TopFreq has nothing else, and at most as
        // many; what most have bought is no surprise.
        assert_eq!(mean(&users, "pTopFreq", |at| at.bought_before.unwrap().mean), 1.0);
        let known = mean(&users, "gTopFreq", |at| at.bought_before.unwrap().mean);
        assert!((0.05..0.5).contains(&known), "{known}");
        assert_eq!(mean(&users, "gTopFreq", |at| at.coverage as f64), 5.0);
        assert_eq!(mean(&users, "pTopFreq", |at| at.coverage as f64), 22.0);
        // A fifth of the users buys a bundle: log2(5) bits, and a little more or less for what was hidden.
        let bits = mean(&users, "gTopFreq", |at| at.novelty.unwrap().mean);
        assert!((bits - 5f64.log2()).abs() < 0.2, "{bits}");
    }

    #[test]
    fn new_users_are_answered_without_a_history_and_without_their_own_basket() {
        let report = compared(&options(HoldOut::NewestBasket));
        assert!((1..20).contains(&report.new_users.asked), "{}", report.new_users.asked);
        let personal = &report.new_users.methods[1].at[0];
        assert_eq!((personal.recall.unwrap().mean, personal.novelty, personal.coverage), (0.0, None, 0));
        assert!(report.new_users.methods.iter().all(|method| method.at[0].repeat_recall.is_none()));
        assert!(mean(&report.new_users, "handFormula", |at| at.recall.unwrap().mean) > 0.0);
    }

    #[test]
    fn nothing_from_the_calendar_split_on_is_known() {
        let split = HoldOut::Since { time_ms: 80 * DAY };
        let (before, held) = hold_out(&shop(), &options(split));
        assert!(before.newest_ms().unwrap() < 80 * DAY);
        assert!(held.iter().all(|held| held.time_ms >= 80 * DAY));
        // The first basket from then on, of all who bought then.
        assert_eq!(held.len(), 60);
        assert!(held.iter().all(|held| held.time_ms < 110 * DAY));
        let report = compared(&options(split));
        assert_eq!((report.returning_users.asked, report.new_users.asked), (60, 0));
        assert_eq!(report.new_users.methods[0].at[0].recall, None);
        assert_eq!(report.purchases.purchases, 300, "what was read includes what was hidden");
        let early = compared(&options(HoldOut::Since { time_ms: DAY }));
        assert!(early.new_users.asked > 100, "{}", early.new_users.asked);
    }

    #[test]
    fn a_cart_is_a_basket_without_one_product_and_its_bundle_completes_it() {
        let all = options(HoldOut::NewestBasket);
        let (before, held) = hold_out(&shop(), &all);
        let models = ComparedModels::new(&before, &all.params, all.threads, &bundle_of).unwrap();
        let context = Context {
            before: &before,
            options: &all,
            audience: Audience::new(&before, &models.model().priors),
        };
        for held in &held {
            let case = context.cart_case(held).unwrap();
            let mut both: Vec<u32> =
                case.cart.iter().chain(&case.bought).map(|product| product.get()).collect();
            both.sort_unstable();
            assert_eq!((case.bought.len(), both), (1, held.products.clone()));
        }
        let carts = compared(&all).carts;
        assert_eq!(carts.asked, held.len() as u64);
        let hits = |method: &str| mean(&carts, method, |at| at.hit_rate.unwrap().mean);
        assert!(hits("basketCosine") > 0.8 && hits("visitorFormula") > 0.8, "{carts:#?}");
        assert!(hits("categoryTop") > 0.7, "the rest of the bundle is the rest of the category");
    }

    #[test]
    fn few_users_are_drawn_by_the_seed_and_have_no_interval() {
        let few =
            |seed| compared(&ComparisonOptions { max_users: 6, seed, ..options(HoldOut::NewestBasket) });
        let asked: Vec<u64> = (0..8).map(|seed| few(seed).returning_users.asked).collect();
        assert!(
            asked.iter().all(|&asked| asked < 20) && asked.iter().any(|one| *one != asked[0]),
            "{asked:?}"
        );
        assert_eq!(few(3), few(3));
        for report in (0..8).map(few) {
            let recall = report.returning_users.methods[0].at[0].recall;
            let has_interval = recall.is_some_and(|recall| recall.interval.is_some());
            assert_eq!(has_interval, report.returning_users.asked >= MIN_USERS);
        }
    }

    #[test]
    fn a_shop_without_repeat_customers_has_a_report_all_the_same() {
        let mut builder = DatasetBuilder::new();
        builder.push("u", "1", 1, ["tea"]).unwrap();
        let report =
            compare_methods(builder.build().unwrap(), &options(HoldOut::NewestBasket), &|_| Vec::new());
        let report = report.unwrap();
        assert_eq!((report.returning_users.asked, report.carts.asked), (0, 0));
        let none =
            "No ranker, the hand formula is used: 0 baskets of repeat customers are too few to learn from.";
        assert_eq!((report.learned.ranker_used, report.learned.reason.as_str()), (false, none));
        assert_eq!(report.learned.cart_weight.to_bits(), Params::default().together_weight.to_bits());
        assert_eq!(report.returning_users.methods.last().unwrap().method, "handFormula");
    }
}
