//! Requests that a careless or malicious client might send: each is taken or is an error of theirs.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails there"
)]

mod api;
#[path = "api/settled.rs"]
mod settled;

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use settled::{ASK, POST, PUT, assert_same, basket, product, purchase, settled, unchanged, with};

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_somebody_made_up_is_a_place_or_an_error_of_theirs() {
    let world = settled().await;
    let before = world.items().await;
    for list in ["/users/ada/purchases", "/users/ada/recommendations", "/products/popular", "/products"] {
        let cursor = world.send("GET", &format!("{list}?limit=1"), "").await.cursor();
        let own = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        let mut dice = Dice(list.len() as u64);
        let mut taken = 0;
        for round in 0..300 {
            let mut made_up = own.clone();
            for _ in 0..=round % 3 {
                // What comes before is a version and a digest of the list.
                let at = 9 + dice.below(made_up.len() - 9);
                let byte = u8::try_from(dice.below(256)).unwrap();
                match dice.below(4) {
                    0 => made_up.insert(at, byte),
                    1 if made_up.len() > 10 => drop(made_up.remove(at)),
                    2 => made_up[at] = made_up[at].wrapping_add(1),
                    _ => made_up[at] = byte,
                }
            }
            let text = URL_SAFE_NO_PAD.encode(made_up);
            let answer = world.send("GET", &format!("{list}?limit=1&cursor={text}"), "").await;
            assert!(matches!(answer.status, 200 | 400), "{list} {text}: {answer:#?}");
            taken += u32::from(answer.status == 200);
        }
        assert!(taken > 10 && taken < 290, "{list}: {taken} of 300 were taken");
    }
    unchanged(&world, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_to_a_valid_body_makes_the_system_fail() {
    let world = settled().await;
    // Of a purchase before it the history may just be following; what is told is written at once.
    let told = async || {
        let items = world.items().await;
        items.into_iter().filter(|item| !item.starts_with("nextbasket-history")).collect::<BTreeSet<_>>()
    };
    let mut before = told().await;
    let mut refused = 0;
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let (request, mut body) = match dice.below(3) {
            0 => (POST, with(purchase(), "/purchaseId", json!(format!("seed{seed}")))),
            1 => (PUT, product()),
            _ => (ASK, basket()),
        };
        for _ in 0..=dice.below(3) {
            mutate(&mut body, &mut dice);
        }
        let mut text = body.to_string().into_bytes();
        if dice.below(4) == 0 {
            let at = dice.below(text.len());
            text[at] = u8::try_from(dice.below(256)).unwrap();
        }
        let (method, target) = request.split_once(' ').unwrap();
        let answer = world.send(method, target, text.clone()).await;
        let of = || format!("seed {seed}: {request} {}", String::from_utf8_lossy(&text));
        assert!(answer.status < 500, "{}: {answer:#?}", of());
        let after = told().await;
        if answer.status >= 400 {
            refused += 1;
            assert!(
                !answer.text("/code").is_empty() && !answer.text("/field").is_empty(),
                "{}: {answer:#?}",
                of()
            );
            assert_same(&after, &before, &of());
        }
        before = after;
    }
    assert!((100..380).contains(&refused), "{refused} of 400 refused: the changes are too mild or too wild");
}

/// A sequence that a seed gives (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

/// Something that a careless or malicious client might send.
fn anything(dice: &mut Dice) -> Value {
    match dice.below(18) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(1.5),
        5 => json!(u64::MAX),
        6 => json!(i64::MIN),
        7 => json!(1e300),
        8 => json!(""),
        9 => json!("x".repeat(dice.below(3_000))),
        10 => json!("\u{0}\u{7f}\u{85}"),
        11 => json!("💶 'OR 1=1 #{}$"),
        12 => json!([]),
        13 => json!({}),
        14 => json!(1),
        15 => json!("milk"),
        16 => json!("Käse 1/2 kg"),
        _ => json!([[[{ "a": [null] }]]]),
    }
}

/// Changes, removes, repeats or adds one value anywhere in the JSON.
fn mutate(value: &mut Value, dice: &mut Dice) {
    let deeper = dice.below(4) != 0;
    match value {
        Value::Object(map) if !map.is_empty() => {
            let at = dice.below(map.len());
            let name = map.keys().nth(at).unwrap().clone();
            match dice.below(6) {
                _ if deeper => mutate(&mut map[&name], dice),
                0 => drop(map.remove(&name)),
                1 => drop(map.insert(format!("{name}x"), anything(dice))),
                _ => map[&name] = anything(dice),
            }
        }
        Value::Array(list) if !list.is_empty() => {
            let at = dice.below(list.len());
            match dice.below(6) {
                _ if deeper => mutate(&mut list[at], dice),
                0 => drop(list.remove(at)),
                1 => {
                    let again = list[at].clone();
                    list.extend(std::iter::repeat_n(again, dice.below(1_200)));
                }
                _ => list[at] = anything(dice),
            }
        }
        value => *value = anything(dice),
    }
}
