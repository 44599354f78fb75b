//! The shop in the console: shoppers, products, lists, previews and models, asked over HTTP on a generated shop.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test that cannot go on fails there"
)]

mod api;
mod console_shop {
    pub(crate) mod common;
    mod lists;
    mod models;
    mod preview;
    mod product;
    mod shopper;
    mod statistics;
}
