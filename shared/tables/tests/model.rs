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

use common::{product, tables};
use nextbasket_domain::Timestamp;
use nextbasket_tables::TableError;
use nextbasket_tables::model::ModelRow;
use nextbasket_testkit::TestStack;

fn rows(ids: &[&str], content: u8) -> Vec<ModelRow> {
    ids.iter().map(|id| ModelRow { product_id: product(id), name: None, row: vec![content] }).collect()
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
    model.put_rows(&first, rows(&["a", "b", "model"], 1), || ()).await.unwrap();
    let live = model.publish(&first, vec![vec![1], vec![2]], now).await.unwrap();
    assert_eq!(model.pointer().await.unwrap(), Some(live.clone()));
    assert_eq!(model.priors(&live).await.unwrap(), Some(vec![vec![1], vec![2]]));

    let second = model.begin().await.unwrap();
    assert_eq!(model.pointer().await.unwrap(), Some(live.clone()));
    model.put_rows(&second, rows(&["b", "c"], 2), || ()).await.unwrap();
    let ids = ["a", "b", "c", "model"].map(product);
    assert_eq!(
        model.rows(&live, &ids).await.unwrap().len(),
        3,
        "the live rows stay while the next are written"
    );
    let next = model.publish(&second, vec![vec![3]], now).await.unwrap();
    assert_eq!(next.version, live.version + 1);
    let third = model.begin().await.unwrap();
    model.put_rows(&third, rows(&["c"], 3), || ()).await.unwrap();
    let last = model.publish(&third, vec![vec![4]], now).await.unwrap();
    // The first model's rows of a and b still stand in this slot; they are not of this version.
    let live_rows = model.rows(&last, &ids).await.unwrap();
    assert_eq!(live_rows, rows(&["c"], 3));
    assert_eq!(model.priors(&live).await.unwrap(), None, "replaced meanwhile");
}

#[tokio::test]
async fn of_two_trainings_at_once_only_the_later_is_published() {
    let stack = TestStack::start().await;
    let model = tables(&stack).model().unwrap();
    let early = model.begin().await.unwrap();
    let late = model.begin().await.unwrap();
    model.put_rows(&early, rows(&["a", "b"], 1), || ()).await.unwrap();
    model.put_rows(&late, rows(&["a"], 2), || ()).await.unwrap();
    let overtaken = model.put_rows(&early, rows(&["a"], 1), || ()).await;
    assert!(matches!(overtaken, Err(TableError::Overtaken { version: 1 })), "{overtaken:?}");
    let overtaken = model.publish(&early, vec![vec![1]], Timestamp::EPOCH).await;
    assert!(matches!(overtaken, Err(TableError::Overtaken { version: 1 })), "{overtaken:?}");
    let live = model.publish(&late, vec![vec![2]], Timestamp::EPOCH).await.unwrap();
    assert_eq!(model.rows(&live, &["a", "b"].map(product)).await.unwrap(), rows(&["a"], 2));
}
