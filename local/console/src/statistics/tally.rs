//! Sums over all purchases, per product and of the shop, in memory that grows with products and weeks and not with
//! purchases.

use std::collections::HashMap;

use nextbasket_domain::time::DAY_MS;
use nextbasket_domain::{Line, ProductId, Purchase, Timestamp, UserId};

use super::repurchase::{Gaps, Repurchase};
use super::sales::{Sales, WeekSales, week_of};

/// A user who bought more than this many lines is no shopper but a till or a business: when it buys again says nothing.
const MAX_LINES_OF_USER: usize = 100_000;

/// What is known of a product.
#[derive(Debug, Default)]
struct ProductTally {
    sales: Sales,
    gaps: Gaps,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    numbers: HashMap<ProductId, u32>,
    products: Vec<ProductTally>,
    shop: Sales,
    purchases: u64,
    newest: Option<Timestamp>,
}

/// The lines of the user whose purchases are being read, in one segment of the table. All of a user's are in one segment,
/// one behind the other.
#[derive(Debug, Default)]
pub(super) struct UserLines {
    user: Option<UserId>,
    /// Numbers of products, and days.
    lines: Vec<(u32, u32)>,
    too_many: bool,
}

impl Tally {
    /// Adds the next purchase of a segment.
    pub(super) fn add(&mut self, purchase: &Purchase, of_user: &mut UserLines) {
        if of_user.user.as_ref() != Some(&purchase.user_id) {
            self.end_user(of_user);
            of_user.user = Some(purchase.user_id.clone());
        }
        let at = purchase.purchased_at;
        self.purchases += 1;
        self.newest = self.newest.max(Some(at));
        self.shop.add(at, purchase.lines.iter());
        let mut lines: Vec<&Line> = purchase.lines.iter().collect();
        lines.sort_by(|a, b| a.product_id.cmp(&b.product_id));
        for lines in lines.chunk_by(|a, b| a.product_id == b.product_id) {
            let Some(first) = lines.first() else { continue };
            let number = self.number(&first.product_id);
            if let Some(product) = self.product_mut(number) {
                product.sales.add(at, lines.iter().copied());
            }
            if of_user.lines.len() < MAX_LINES_OF_USER {
                of_user.lines.push((number, day_of(at)));
            } else {
                of_user.too_many = true;
            }
        }
    }

    /// Counts the gaps of a user all of whose purchases were added.
    pub(super) fn end_user(&mut self, of_user: &mut UserLines) {
        let UserLines { mut lines, too_many, .. } = std::mem::take(of_user);
        if too_many {
            return;
        }
        // Two purchases on one day are one: who forgot something has not used up what was bought.
        lines.sort_unstable();
        lines.dedup();
        for of_product in lines.chunk_by(|a, b| a.0 == b.0) {
            if let Some(product) = of_product.first().and_then(|(number, _)| self.product_mut(*number)) {
                product.gaps.add_buyer(of_product.iter().map(|(_, day)| *day));
            }
        }
    }

    fn number(&mut self, id: &ProductId) -> u32 {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let number = u32::try_from(self.products.len()).unwrap_or(u32::MAX);
        self.products.push(ProductTally::default());
        self.numbers.insert(id.clone(), number);
        number
    }

    fn product_mut(&mut self, number: u32) -> Option<&mut ProductTally> {
        self.products.get_mut(usize::try_from(number).ok()?)
    }

    /// The newest purchase: shoppers were observed until then, also of data that is old.
    fn newest(&self) -> Timestamp {
        self.newest.unwrap_or(Timestamp::EPOCH)
    }

    pub(super) fn purchases(&self) -> u64 {
        self.purchases
    }

    pub(super) fn shop_weeks(&self) -> Vec<WeekSales> {
        self.shop.weeks(week_of(self.newest()))
    }

    /// How many purchases hold the product, its weeks, and when it is bought again.
    pub(super) fn product(&self, id: &ProductId) -> (u64, Vec<WeekSales>, Repurchase) {
        let number = self.numbers.get(id).and_then(|number| usize::try_from(*number).ok());
        match number.and_then(|number| self.products.get(number)) {
            Some(ProductTally { sales, gaps }) => {
                let weeks = sales.weeks(week_of(self.newest()));
                (sales.purchases(), weeks, gaps.repurchase(day_of(self.newest())))
            }
            None => (0, Vec::new(), Gaps::default().repurchase(0)),
        }
    }
}

/// The number of days since 1970, in UTC.
fn day_of(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis() / DAY_MS).unwrap_or(u32::MAX)
}
