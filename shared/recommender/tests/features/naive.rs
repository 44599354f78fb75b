//! Features by name, one at a time, from the purchases. Of the priors, which are stored with few digits, the stored
//! popularities and repeat rates are taken.

use crate::common::{DAY, Purchase};
use crate::formula::Naive;
use nextbasket_recommender::{Params, Priors, Window};
use std::collections::{BTreeMap, BTreeSet};

type Baskets = [(i64, BTreeSet<String>)];

const ANCHORS: usize = 20;

pub(crate) struct NaiveFeatures<'p> {
    model: Naive<'p>,
    params: &'p Params,
    priors: &'p Priors,
    /// When each product was sold.
    sales: BTreeMap<String, Vec<i64>>,
    rows: BTreeMap<(String, String), Row>,
}

/// What is known of what is bought after, or with, another product.
struct Row {
    next: f64,
    next_basket: f64,
    recent: f64,
    together: f64,
}

/// When a product is in the user's baskets: their lags, the newest first, and times.
struct Bought {
    lags: Vec<usize>,
    times: Vec<i64>,
}

impl<'p> NaiveFeatures<'p> {
    pub(crate) fn new(purchases: &[Purchase], params: &'p Params, priors: &'p Priors) -> Self {
        let mut sales: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for purchase in purchases {
            for product in &purchase.products {
                sales.entry(product.clone()).or_default().push(purchase.time_ms);
            }
        }
        let model = Naive::new(purchases, params);
        let mut rows = BTreeMap::new();
        for j in sales.keys() {
            for i in sales.keys().filter(|&i| i != j) {
                let row = Row {
                    next: model.transition(j, i),
                    next_basket: model.next_basket(j, i, 1e12),
                    recent: model.next_basket(j, i, 7.0),
                    together: model.together(j, i),
                };
                rows.insert((j.clone(), i.clone()), row);
            }
        }
        Self { model, params, priors, sales, rows }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        *self.sales.values().flatten().max().unwrap()
    }

    fn days(&self, from_ms: i64) -> f64 {
        days(from_ms, self.now_ms())
    }

    /// What one product's baskets weigh, each by `weight` of its lag and shared among its products.
    fn weight(&self, baskets: &Baskets, product: &str, weight: &dyn Fn(usize) -> f64) -> f64 {
        let mut sum = 0.0;
        for (lag, (_, basket)) in baskets.iter().enumerate() {
            if basket.contains(product) {
                sum += weight(lag) / (basket.len() as f64).powf(self.params.basket_size_power);
            }
        }
        sum
    }

    fn anchors<'b>(&self, baskets: &'b Baskets) -> Vec<&'b str> {
        let products: BTreeSet<&str> =
            baskets.iter().flat_map(|basket| &basket.1).map(String::as_str).collect();
        let mut anchors: Vec<(f64, &str)> = products
            .into_iter()
            .map(|product| (self.weight(baskets, product, &|lag| power(0.8, lag)), product))
            .collect();
        anchors.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        anchors.into_iter().take(ANCHORS).map(|(_, product)| product).collect()
    }

    /// The mean over the anchors of what their rows say of a product.
    fn over_anchors(
        &self,
        baskets: &Baskets,
        id: &str,
        weight: impl Fn(usize) -> f64,
        value: fn(&Row) -> f64,
    ) -> f64 {
        let (mut sum, mut all) = (0.0, 0.0);
        for anchor in self.anchors(baskets) {
            let weight = self.weight(baskets, anchor, &weight);
            all += weight;
            sum += weight * self.rows.get(&(anchor.to_owned(), id.to_owned())).map_or(0.0, value);
        }
        if all > 0.0 { sum / all } else { 0.0 }
    }

    /// The score of a product by the formula, with the stored priors.
    fn hand(&self, baskets: &Baskets, id: &str, next: f64, bought: &Bought) -> f64 {
        let product = self.priors.index_of(id).unwrap();
        let count = bought.lags.len() as f64;
        let due = if bought.lags.is_empty() {
            0.0
        } else {
            let gap = (bought.lags[bought.lags.len() - 1] - bought.lags[0]) as f64 / (count - 1.0).max(1.0);
            let soon = count > 1.0 && ((bought.lags[0] + 1) as f64) < 0.35 * gap.max(1.0);
            count / (count + self.params.count_shrinkage)
                * if soon { self.params.too_soon_factor } else { 1.0 }
        };
        self.priors.repurchase_factor(product) * due * share(baskets, bought, self.params.personal_decay)
            + self.params.next_weight * next
            + self.params.popularity_weight * self.priors.popularity(product, Window::Scoring)
    }

    pub(crate) fn of(&self, baskets: &Baskets, id: &str, at_ms: i64) -> BTreeMap<&'static str, f64> {
        let bought = Bought::new(baskets, id);
        let mut features = self.of_product(id);
        self.add_history(&mut features, baskets, id, &bought);
        self.add_rows(&mut features, baskets, id, &bought);
        self.add_standing(&mut features, &bought);
        add_elapsed(&mut features, baskets, &bought, at_ms);
        features
    }

    fn of_product(&self, id: &str) -> BTreeMap<&'static str, f64> {
        let product = self.priors.index_of(id).unwrap();
        let popularity = |window| (self.priors.popularity(product, window) + 0.0003).ln();
        let sales = &self.sales[id];
        let (baskets, buyers) = (self.model.baskets_with(&[id]) as f64, self.model.buyers(id) as f64);
        BTreeMap::from([
            ("popularity", popularity(Window::AllTime)),
            ("popularityMonth", popularity(Window::Month)),
            ("popularityWeek", popularity(Window::Week)),
            ("popularityDay", popularity(Window::Day)),
            ("repeatRate", (self.priors.relative_repeat_rate(product) + 0.1).ln()),
            ("daysSold", self.days(*sales.iter().min().unwrap()).ln_1p()),
            ("daysUnsold", self.days(*sales.iter().max().unwrap()).ln_1p()),
            ("buyers", buyers.ln_1p()),
            ("basketsPerBuyer", (baskets / buyers).ln_1p()),
        ])
    }

    fn add_history(
        &self,
        features: &mut BTreeMap<&'static str, f64>,
        baskets: &Baskets,
        id: &str,
        bought: &Bought,
    ) {
        let count = bought.lags.len() as f64;
        let (has, two) = (flag(count > 0.0), flag(count > 1.0));
        let total = baskets.len() as f64;
        let size: f64 = baskets.iter().map(|basket| basket.1.len() as f64).sum();
        let distinct = baskets.iter().flat_map(|basket| &basket.1).collect::<BTreeSet<_>>().len() as f64;
        let newest = bought.lags.first().copied().unwrap_or(0) as f64;
        let oldest = bought.lags.last().copied().unwrap_or(0) as f64;
        let gap = ((oldest - newest) / (count - 1.0).max(1.0)).max(0.5);
        let due = ((newest + 1.0) / gap).min(6.0);
        let (rate, week) = (features["repeatRate"], features["popularityWeek"]);
        features.extend([
            ("personalShare", (share(baskets, bought, 1.0) + 0.02).ln()),
            ("personalShare95", (share(baskets, bought, 0.95) + 0.02).ln()),
            ("personalShare80", (share(baskets, bought, 0.8) + 0.02).ln()),
            ("personalShare50", (share(baskets, bought, 0.5) + 0.02).ln()),
            ("bought", has),
            ("boughtOnce", flag(count == 1.0)),
            ("timesBought", count.ln_1p()),
            ("boughtRepeatRate", has * rate),
            ("notDue", two * flag(due < 0.35)),
            ("dueBaskets", two * (due + 0.1).ln()),
            ("inNewest", flag(baskets[0].1.contains(id))),
            ("boughtBaskets", has * total.ln_1p()),
            ("boughtRepeatShare", has * (1.0 - distinct / size)),
            ("newPopularityWeek", (1.0 - has) * week * total.ln_1p()),
            ("boughtPerBasket", count / total),
            ("boughtBasketSize", has * (size / total).ln_1p()),
        ]);
    }

    fn add_rows(
        &self,
        features: &mut BTreeMap<&'static str, f64>,
        baskets: &Baskets,
        id: &str,
        bought: &Bought,
    ) {
        let has = flag(!bought.lags.is_empty());
        let mean = |weight: &dyn Fn(usize) -> f64, value| self.over_anchors(baskets, id, weight, value);
        let hand = |lag| power(self.params.next_decay, lag);
        let next = mean(&hand, |row| row.next);
        let many = (mean(&|lag| power(0.95, lag), |row| row.next) + 0.002).ln();
        let newest = mean(&|lag| flag(lag == 0), |row| row.next_basket);
        let recent = mean(&hand, |row| row.recent);
        let together = mean(&|lag| power(0.8, lag), |row| row.together);
        let log_next = (next + 0.002).ln();
        features.extend([
            ("hand", (self.hand(baskets, id, next, bought) + 1e-5).ln()),
            ("next", log_next),
            ("nextOfNewest", (newest + 0.002).ln()),
            ("nextOfMany", many),
            ("nextRecent", (recent + 0.002).ln()),
            ("together", (together + 0.005).ln()),
            ("boughtNextOfMany", has * many),
            ("newNext", (1.0 - has) * log_next * (baskets.len() as f64).ln_1p()),
        ]);
    }

    fn add_standing(&self, features: &mut BTreeMap<&'static str, f64>, bought: &Bought) {
        let since = bought.times.first().map_or(0.0, |&newest| self.days(newest));
        let due = (since / bought.gap_days().max(0.5)).min(20.0);
        features.insert("daysSinceBought", since.ln_1p());
        features.insert("dueDays", flag(bought.lags.len() > 1) * (due + 0.1).ln());
    }
}

fn add_elapsed(features: &mut BTreeMap<&'static str, f64>, baskets: &Baskets, bought: &Bought, at_ms: i64) {
    let (has, two) = (flag(!bought.lags.is_empty()), flag(bought.lags.len() > 1));
    let (newest, oldest) = (baskets[0].0, baskets[baskets.len() - 1].0);
    let mean = (days(oldest, newest) / (baskets.len() as f64 - 1.0).max(1.0)).max(0.3);
    let since = days(newest, at_ms).max(0.0);
    let elapsed = bought.times.first().map_or(0.0, |&newest| days(newest, at_ms).max(0.0));
    let due = (elapsed / bought.gap_days().max(0.3)).min(20.0);
    features.extend([
        ("elapsedDaysSinceBought", elapsed.ln_1p()),
        ("elapsedDueDays", two * (due + 0.1).ln()),
        ("boughtElapsedDays", has * since.ln_1p()),
        ("newElapsedDays", (1.0 - has) * since.ln_1p()),
        ("boughtElapsedByGap", has * (since / mean + 0.1).ln()),
        ("newElapsedByGap", (1.0 - has) * (since / mean + 0.1).ln()),
        ("nearlyDue", two * (-due.max(0.05).ln().abs()).exp()),
    ]);
}

impl Bought {
    fn new(baskets: &Baskets, id: &str) -> Self {
        let with: Vec<(usize, i64)> = baskets
            .iter()
            .enumerate()
            .filter(|(_, (_, basket))| basket.contains(id))
            .map(|(lag, (time, _))| (lag, *time))
            .collect();
        Self {
            lags: with.iter().map(|basket| basket.0).collect(),
            times: with.iter().map(|basket| basket.1).collect(),
        }
    }

    /// Mean days between two purchases.
    fn gap_days(&self) -> f64 {
        match (self.times.first(), self.times.last()) {
            (Some(&newest), Some(&oldest)) => days(oldest, newest) / (self.times.len() as f64 - 1.0).max(1.0),
            _ => 0.0,
        }
    }
}

/// The share of the baskets that hold the product, by age.
fn share(baskets: &Baskets, bought: &Bought, decay: f64) -> f64 {
    let all: f64 = (0..baskets.len()).map(|lag| power(decay, lag)).sum();
    bought.lags.iter().map(|&lag| power(decay, lag)).sum::<f64>() / all
}

fn power(decay: f64, lag: usize) -> f64 {
    decay.powi(i32::try_from(lag).unwrap())
}

fn days(from_ms: i64, to_ms: i64) -> f64 {
    (to_ms - from_ms) as f64 / DAY as f64
}

fn flag(condition: bool) -> f64 {
    if condition { 1.0 } else { 0.0 }
}
