//! A history in few bytes: most users' fit in half a read unit.
//!
//! Layout: format (1; 2 if older baskets were dropped for their size) · number of products · per product, sorted: length shared with the one before, length of
//! the rest, the rest · number of baskets · per basket, newest first: milliseconds before the one before (the
//! first: since 1970), number of products, their places in the list as differences. All numbers are LEB128.

use nextbasket_domain::history::HISTORY_BASKETS;
use nextbasket_domain::{Basket, ProductId, Timestamp};

const FORMAT: u8 = 1;
const FORMAT_WITHOUT_OLDER: u8 = 2;

/// The maximum size of a packed history of more than one basket: an answer reads all of it, which costs half a read
/// unit for each 4 KB.
pub const MAX_BYTES: usize = 28_000;

/// Packs the baskets; if they do not fit in [`MAX_BYTES`], the oldest are dropped. The newest is always kept: a
/// purchase's ids are at most 100,000 bytes.
#[must_use]
pub fn pack(mut baskets: &[Basket]) -> Vec<u8> {
    let mut format = FORMAT;
    loop {
        let bytes = pack_all(format, baskets);
        if bytes.len() <= MAX_BYTES || baskets.len() <= 1 {
            return bytes;
        }
        let keep = (baskets.len().saturating_mul(MAX_BYTES) / bytes.len()).clamp(1, baskets.len() - 1);
        baskets = baskets.get(..keep).unwrap_or_default();
        format = FORMAT_WITHOUT_OLDER;
    }
}

/// Whether [`pack`] dropped older baskets.
#[must_use]
pub fn is_without_older(bytes: &[u8]) -> bool {
    bytes.first() == Some(&FORMAT_WITHOUT_OLDER)
}

fn pack_all(format: u8, baskets: &[Basket]) -> Vec<u8> {
    let mut products: Vec<&ProductId> = baskets.iter().flat_map(|basket| &basket.products).collect();
    products.sort_unstable();
    products.dedup();
    let mut bytes = vec![format];
    put(&mut bytes, products.len());
    let mut before: &[u8] = b"";
    for product in &products {
        let id = product.as_str().as_bytes();
        let shared = before.iter().zip(id).take_while(|(a, b)| a == b).count();
        let rest = id.get(shared..).unwrap_or_default();
        put(&mut bytes, shared);
        put(&mut bytes, rest.len());
        bytes.extend_from_slice(rest);
        before = id;
    }
    put(&mut bytes, baskets.len());
    let mut later = None;
    for basket in baskets {
        let at = basket.purchased_at.as_millis();
        let difference = later.map_or(at, |later: i64| later - at);
        put(&mut bytes, usize::try_from(difference).unwrap_or(0));
        later = Some(at);
        put(&mut bytes, basket.products.len());
        let mut next = 0;
        for product in &basket.products {
            let place = products.binary_search(&product).unwrap_or(0);
            put(&mut bytes, place - next);
            next = place + 1;
        }
    }
    bytes
}

/// Unpacks what [`pack`] made; `None` for anything else.
#[must_use]
pub fn unpack(bytes: &[u8]) -> Option<Vec<Basket>> {
    let (&format, mut rest) = bytes.split_first()?;
    if ![FORMAT, FORMAT_WITHOUT_OLDER].contains(&format) {
        return None;
    }
    let rest = &mut rest;
    let mut products: Vec<ProductId> = Vec::new();
    let mut id: Vec<u8> = Vec::new();
    for _ in 0..take(rest)? {
        let shared = take(rest)?;
        let length = take(rest)?;
        let (tail, after) = rest.split_at_checked(length)?;
        if shared > id.len() {
            return None;
        }
        id.truncate(shared);
        id.extend_from_slice(tail);
        let product = ProductId::parse(std::str::from_utf8(&id).ok()?).ok()?;
        if products.last().is_some_and(|before| *before >= product) {
            return None;
        }
        products.push(product);
        *rest = after;
    }
    let mut baskets = Vec::new();
    let mut later = None;
    let length = take(rest)?;
    if length > HISTORY_BASKETS {
        return None;
    }
    for _ in 0..length {
        let difference = i64::try_from(take(rest)?).ok()?;
        let at = later.map_or(Some(difference), |later: i64| later.checked_sub(difference))?;
        later = Some(at);
        let mut next = 0_usize;
        let mut basket = Vec::new();
        for _ in 0..take(rest)? {
            let place = next.checked_add(take(rest)?)?;
            basket.push(products.get(place)?.clone());
            next = place.checked_add(1)?;
        }
        baskets.push(Basket { purchased_at: Timestamp::from_millis(at).ok()?, products: basket });
    }
    rest.is_empty().then_some(baskets)
}

/// A number as LEB128.
pub(crate) fn put(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap_or(0));
}

/// Takes what [`put`] wrote off the beginning.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_domain::history::fold;
    use nextbasket_domain::{Line, Purchase, PurchaseId, UserId};
    use proptest::prelude::*;

    fn basket(at: i64, products: &[&str]) -> Basket {
        let mut products: Vec<_> = products.iter().map(|id| ProductId::parse(id).unwrap()).collect();
        products.sort();
        Basket { purchased_at: Timestamp::from_millis(at).unwrap(), products }
    }

    #[test]
    fn a_year_of_weekly_groceries_fits_in_half_a_read_unit() {
        let ids: Vec<String> = (0..120).map(|n| format!("{:05}", 20_000 + 7 * n)).collect();
        let baskets: Vec<_> = (0..100_u32)
            .map(|week| {
                let products: Vec<_> =
                    (0..10).map(|n| ids[(week as usize * 7 + n * 13) % 120].as_str()).collect();
                basket(1_700_000_000_000 - 604_800_000 * i64::from(week), &products)
            })
            .collect();
        let bytes = pack(&baskets);
        assert!(bytes.len() < 4_000, "{} bytes", bytes.len());
        assert_eq!(unpack(&bytes), Some(baskets));
    }

    #[test]
    fn what_does_not_fit_loses_its_oldest_baskets_and_nothing_else() {
        let baskets: Vec<_> = (0..100_i64)
            .map(|n| {
                let ids: Vec<String> =
                    (0..40).map(|i| format!("{n:03}-{i:03}-{}", "x".repeat(200))).collect();
                basket(1_000_000 - n, &ids.iter().map(String::as_str).collect::<Vec<_>>())
            })
            .collect();
        let kept = unpack(&pack(&baskets)).unwrap();
        assert!((2..100).contains(&kept.len()), "{}", kept.len());
        assert!(pack(&kept).len() <= MAX_BYTES);
        let one_more = pack(&baskets[..kept.len() + 1]);
        assert_eq!(unpack(&one_more).as_ref(), Some(&kept));
        assert_eq!(kept[..], baskets[..kept.len()]);
        assert!(is_without_older(&one_more) && !is_without_older(&pack(&kept)));
    }

    proptest! {
        #[test]
        fn any_purchases_in_any_order_pack_to_the_same_bytes(
            purchases in prop::collection::vec((0_i64..50, prop::collection::vec("[a-c]{1,3}|[ä-ü/ ]{1,4}", 1..8)), 0..130),
            seed in any::<u64>(),
        ) {
            let purchases: Vec<Purchase> = purchases.iter().enumerate().map(|(n, (at, ids))| Purchase {
                purchase_id: PurchaseId::parse(&format!("p{n}")).unwrap(),
                user_id: UserId::parse("u").unwrap(),
                purchased_at: Timestamp::from_millis(*at).unwrap(),
                lines: ids.iter().map(|id| Line {
                    product_id: ProductId::parse(id).unwrap(), quantity: 1, unit_price: None,
                }).collect(),
                recommendation_id: None,
            }).collect();
            let mut shuffled = purchases.clone();
            let mut state = seed | 1;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                shuffled.swap(i, (state >> 33) as usize % (i + 1));
            }
            let baskets = fold(purchases);
            let bytes = pack(&baskets);
            prop_assert_eq!(pack(&fold(shuffled)), bytes.clone());
            prop_assert_eq!(unpack(&bytes), Some(baskets));
        }

        #[test]
        fn damaged_bytes_are_refused_or_read_but_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&bytes);
        }
    }
}
