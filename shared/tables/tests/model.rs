//! The model's two slots against a real endpoint.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on fails there"
)]

mod common;

use common::{Seeded, product, tables, tables_through};
use nextbasket_domain::{ProductId, Timestamp};
use nextbasket_tables::Consistency;
use nextbasket_tables::model::{
    ModelInfo, ModelRow, ModelTable, Overtaken, Pointer, RollbackError, StoredModel,
};
use nextbasket_testkit::{Fault, TestStack};

fn rows(ids: &[&str], content: u8) -> Vec<ModelRow> {
    ids.iter().map(|id| ModelRow { product_id: product(id), name: None, row: vec![content] }).collect()
}

fn info(users: u64) -> ModelInfo {
    ModelInfo {
        users,
        purchases: 3 * users,
        products: 7,
        params: "f00d".to_owned(),
        metrics: Some(r#"{"model":{}}"#.to_owned()),
        seconds: 1.5,
    }
}

/// Trains: one row, one piece of priors, both with this content.
async fn train(model: &ModelTable, content: u8) -> Pointer {
    let draft = model.begin().await.unwrap();
    model.put_rows(&draft, rows(&["a"], content), || ()).await.unwrap().unwrap();
    let at = Timestamp::from_millis(1000 * i64::from(content)).unwrap();
    model.publish(&draft, stored(vec![vec![content]]), &info(u64::from(content)), at).await.unwrap().unwrap()
}

/// The live rows of these products, none of them damaged.
async fn live_rows(model: &ModelTable, pointer: &Pointer, ids: &[ProductId]) -> Vec<ModelRow> {
    let rows = model.rows(pointer, ids, Consistency::Eventual).await.unwrap();
    assert_eq!(rows.damaged, []);
    rows.items
}

/// Every version that is kept, the live one first.
async fn versions(model: &ModelTable) -> Vec<(u64, bool)> {
    model.models().await.unwrap().iter().map(|record| (record.version, record.live)).collect()
}

/// A model without a ranker.
fn stored(priors: Vec<Vec<u8>>) -> StoredModel {
    StoredModel { priors, ranker: None }
}

#[tokio::test]
async fn a_model_is_live_as_a_whole_or_not_at_all() {
    let stack = TestStack::start().await;
    let model = tables(&stack).model().unwrap();
    let now = Timestamp::from_millis(5).unwrap();
    assert_eq!(model.pointer().await.unwrap(), None);
    let first = model.begin().await.unwrap();
    assert_eq!(model.pointer().await.unwrap(), None);
    // A product of the pointer's own id is no conflict.
    model.put_rows(&first, rows(&["a", "b", "model"], 1), || ()).await.unwrap().unwrap();
    let live = model.publish(&first, stored(vec![vec![1], vec![2]]), &info(1), now).await.unwrap().unwrap();
    assert_eq!(model.pointer().await.unwrap(), Some(live.clone()));
    assert_eq!(model.priors(&live).await.unwrap(), Some(stored(vec![vec![1], vec![2]])));

    let second = model.begin().await.unwrap();
    assert_eq!(model.pointer().await.unwrap(), Some(live.clone()));
    model.put_rows(&second, rows(&["b", "c"], 2), || ()).await.unwrap().unwrap();
    let ids = ["a", "b", "c", "model"].map(product);
    assert_eq!(
        live_rows(&model, &live, &ids).await.len(),
        3,
        "the live rows stay while the next are written"
    );
    let next = model.publish(&second, stored(vec![vec![3]]), &info(1), now).await.unwrap().unwrap();
    assert_eq!(next.version, live.version + 1);
    let third = model.begin().await.unwrap();
    model.put_rows(&third, rows(&["c"], 3), || ()).await.unwrap().unwrap();
    let last = model.publish(&third, stored(vec![vec![4]]), &info(1), now).await.unwrap().unwrap();
    // The first model's rows of a and b still stand in this slot; they are not of this version.
    assert_eq!(live_rows(&model, &last, &ids).await, rows(&["c"], 3));
    assert_eq!(model.priors(&live).await.unwrap(), None, "replaced meanwhile");
}

#[tokio::test]
async fn of_two_trainings_at_once_only_the_later_is_published() {
    let stack = TestStack::start().await;
    let model = tables(&stack).model().unwrap();
    let early = model.begin().await.unwrap();
    let late = model.begin().await.unwrap();
    model.put_rows(&early, rows(&["a", "b"], 1), || ()).await.unwrap().unwrap();
    model.put_rows(&late, rows(&["a"], 2), || ()).await.unwrap().unwrap();
    let overtaken = model.put_rows(&early, rows(&["a"], 1), || ()).await;
    assert!(matches!(overtaken, Ok(Err(Overtaken { version: 1 }))), "{overtaken:?}");
    let overtaken = model.publish(&early, stored(vec![vec![1]]), &info(1), Timestamp::EPOCH).await;
    assert!(matches!(overtaken, Ok(Err(Overtaken { version: 1 }))), "{overtaken:?}");
    let live =
        model.publish(&late, stored(vec![vec![2]]), &info(1), Timestamp::EPOCH).await.unwrap().unwrap();
    assert_eq!(live_rows(&model, &live, &["a", "b"].map(product)).await, rows(&["a"], 2));
}

#[tokio::test]
async fn the_live_model_and_the_one_before_are_kept_with_what_their_trainings_said() {
    let stack = TestStack::start().await;
    let model = tables(&stack).model().unwrap();
    assert_eq!(model.models().await.unwrap(), []);
    let unpublished = model.begin().await.unwrap();
    assert_eq!((unpublished.version, model.models().await.unwrap().len()), (1, 0));
    for content in 1..=3 {
        train(&model, content).await;
    }
    assert_eq!(versions(&model).await, [(4, true), (3, false)]);
    let records = model.models().await.unwrap();
    assert_eq!(records[0].info, Some(info(3)));
    assert_eq!((records[1].info.clone(), records[1].trained_at.as_millis()), (Some(info(2)), 2000));
}

#[tokio::test]
async fn going_back_makes_the_model_before_live_again_and_the_next_training_writes_over_the_other() {
    let stack = TestStack::start().await;
    let model = tables(&stack).model().unwrap();
    let first = train(&model, 1).await;
    let second = train(&model, 2).await;
    assert_eq!(model.make_current(first.version).await.unwrap(), first);
    assert_eq!(model.pointer().await.unwrap(), Some(first.clone()));
    assert_eq!(live_rows(&model, &first, &[product("a")]).await, rows(&["a"], 1));
    assert_eq!(model.priors(&first).await.unwrap(), Some(stored(vec![vec![1]])));
    assert_eq!(versions(&model).await, [(1, true), (2, false)]);
    // There and back, and to where it is already.
    assert_eq!(model.make_current(second.version).await.unwrap(), second);
    assert_eq!(model.make_current(second.version).await.unwrap(), second);
    assert_eq!(model.make_current(first.version).await.unwrap(), first);

    let third = train(&model, 3).await;
    assert_eq!((third.version, third.slot), (3, second.slot));
    assert_eq!(versions(&model).await, [(3, true), (1, false)]);
    assert_eq!(model.make_current(first.version).await.unwrap(), first);
    assert_eq!(live_rows(&model, &first, &[product("a")]).await, rows(&["a"], 1));
}

#[tokio::test]
async fn a_model_that_a_training_has_begun_to_overwrite_cannot_go_live_again() {
    let stack = TestStack::start().await;
    let model = tables(&stack).model().unwrap();
    assert!(matches!(model.make_current(1).await, Err(RollbackError::NoSuchModel { version: 1 })));
    let first = train(&model, 1).await;
    let second = train(&model, 2).await;
    assert!(matches!(model.make_current(9).await, Err(RollbackError::NoSuchModel { version: 9 })));
    let draft = model.begin().await.unwrap();
    let refused = model.make_current(first.version).await;
    assert!(matches!(refused, Err(RollbackError::Overwritten { version: 1 })), "{refused:?}");
    assert_eq!(versions(&model).await, [(2, true)]);
    // The live one is no way back, and is no error either.
    assert_eq!(model.make_current(second.version).await.unwrap(), second);
    let third = model.publish(&draft, stored(vec![]), &info(3), Timestamp::EPOCH).await.unwrap().unwrap();
    assert!(matches!(model.make_current(first.version).await, Err(RollbackError::NoSuchModel { .. })));
    assert_eq!(versions(&model).await, [(third.version, true), (second.version, false)]);
}

#[tokio::test]
async fn a_training_that_begins_while_somebody_goes_back_never_writes_into_the_live_slot() {
    let seed = 1;
    let mut random = Seeded(seed);
    let stack = TestStack::start().await;
    let model = tables(&stack).model().unwrap();
    train(&model, 1).await;
    train(&model, 2).await;
    // Which of the two came first, so often.
    let mut first = [0, 0];
    for round in 0..500 {
        let before = versions(&model).await[1].0;
        // Longer than the calls, also on a slow machine, so that either may come first.
        let pauses = [random.below(30), random.below(30)].map(std::time::Duration::from_millis);
        let (back, draft) = tokio::join!(
            async {
                tokio::time::sleep(pauses[0]).await;
                model.make_current(before).await
            },
            async {
                tokio::time::sleep(pauses[1]).await;
                model.begin().await.unwrap()
            },
        );
        let live = model.pointer().await.unwrap().unwrap();
        assert_ne!(live.slot, draft.slot, "round {round}, seed {seed}");
        match back {
            Ok(pointer) => assert_eq!((pointer.version, live.version), (before, before), "round {round}"),
            Err(RollbackError::Overwritten { .. }) => assert_ne!(live.version, before, "round {round}"),
            Err(error) => panic!("round {round}, seed {seed}: {error}"),
        }
        first[usize::from(live.version == before)] += 1;
        model.publish(&draft, stored(vec![vec![0]]), &info(1), Timestamp::EPOCH).await.unwrap().unwrap();
        assert_eq!(versions(&model).await.len(), 2, "round {round}, seed {seed}");
        if round > 60 && first.iter().all(|&rounds| rounds > 5) {
            return;
        }
    }
    panic!("both have to come first at times: {first:?}, seed {seed}");
}

#[tokio::test]
async fn answers_that_are_lost_on_the_way_change_nothing() {
    let stack = TestStack::start().await;
    let proxy = stack.proxy().await;
    let model = tables_through(&stack, proxy.dynamodb()).model().unwrap();
    for content in 1..=2 {
        // The first update begins, the last one publishes.
        proxy.inject("UpdateItem", 1..=1, Fault::DropAfter);
        proxy.inject("UpdateItem", 3..=3, Fault::DropAfter);
        train(&model, content).await;
        proxy.heal();
    }
    let kept = versions(&model).await;
    assert_eq!(kept.iter().map(|&(_, live)| live).collect::<Vec<_>>(), [true, false]);
    proxy.inject("UpdateItem", 1..=1, Fault::DropAfter);
    let back = model.make_current(kept[1].0).await.unwrap();
    assert_eq!(model.pointer().await.unwrap(), Some(back));
    assert_eq!(versions(&model).await, [(kept[1].0, true), (kept[0].0, false)]);
}

#[tokio::test]
async fn a_training_that_publishes_once_more_does_not_undo_a_way_back() {
    let stack = TestStack::start().await;
    let model = tables(&stack).model().unwrap();
    let first = train(&model, 1).await;
    let draft = model.begin().await.unwrap();
    let said = info(2);
    let publish = || model.publish(&draft, stored(vec![]), &said, Timestamp::EPOCH);
    let second = publish().await.unwrap();
    assert_eq!(publish().await.unwrap(), second);
    model.make_current(first.version).await.unwrap();
    let late = publish().await;
    assert!(matches!(late, Ok(Err(Overtaken { version: 2 }))), "{late:?}");
    assert_eq!(model.pointer().await.unwrap(), Some(first));
}
