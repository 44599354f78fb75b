//! The exports of well-known shop systems and data sets.

use std::sync::OnceLock;

use super::Profile;

macro_rules! profiles {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../profiles/", $name, ".toml")))),*]
    };
}

/// Each known export, by name.
pub(crate) fn known() -> &'static [(&'static str, Profile)] {
    static KNOWN: OnceLock<Vec<(&'static str, Profile)>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let texts = profiles![
            "amazon-purchases",
            "amazon-reviews-2023",
            "amazon-seller-orders",
            "bigcommerce-orders",
            "completejourney-r",
            "diginetica",
            "dunnhumby-complete-journey",
            "dunnhumby-sort-of-real",
            "etsy-order-items",
            "google-merchant",
            "groceries",
            "hm-transactions",
            "instacart",
            "magento",
            "magento-tables",
            "olist",
            "online-retail",
            "online-retail-ii",
            "rees46-events",
            "rees46-orders",
            "retailrocket",
            "shopify-orders",
            "shopify-products",
            "shopify-products-template",
            "square-items",
            "squarespace-orders",
            "superstore",
            "ta-feng",
            "wix-orders",
            "woocommerce-analytics",
            "woocommerce-csv-export",
            "woocommerce-csv-export-items",
            "woocommerce-items",
            "woocommerce-orders",
            "woocommerce-products",
            "woocommerce-products-de",
        ];
        // A test reads them all: none is lost here.
        texts.into_iter().filter_map(|(name, text)| Some((name, text.parse().ok()?))).collect()
    })
}
