//! What leads to what.

/// One product leads to another.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) from: &'static [&'static str],
    pub(crate) to: &'static str,
    /// Of a hundred.
    pub(crate) percent: u32,
    /// Days later, at least and at most; zero is the same basket.
    pub(crate) after: (u32, u32),
    /// Whether it happens again with every purchase; one tamper is enough.
    pub(crate) again: bool,
}

const TOGETHER: (u32, u32) = (0, 0);

const fn once(from: &'static [&'static str], to: &'static str, percent: u32, after: (u32, u32)) -> Pair {
    Pair { from, to, percent, after, again: false }
}

const fn always(from: &'static [&'static str], to: &'static str, percent: u32) -> Pair {
    Pair { from, to, percent, after: TOGETHER, again: true }
}

const ESPRESSO_MACHINES: &[&str] =
    &["machine-espresso-classic", "machine-espresso-dual", "machine-espresso-lever"];
const FILTER_MACHINES: &[&str] = &["machine-filter-classic", "machine-filter-thermos"];
const MOKA_POTS: &[&str] = &["brewer-moka-3", "brewer-moka-6"];
const HAND_GRINDERS: &[&str] = &["grinder-hand-steel", "grinder-hand-ceramic"];
const ELECTRIC_GRINDERS: &[&str] =
    &["grinder-electric-filter", "grinder-electric-espresso", "grinder-single-dose"];
const ESPRESSO_BEANS: &[&str] = &[
    "coffee-espresso-1kg",
    "coffee-espresso-500g",
    "coffee-espresso-crema-1kg",
    "coffee-espresso-brazil-1kg",
    "coffee-espresso-organic-1kg",
];
const LOOSE_TEA: &[&str] = &[
    "tea-earl-grey-250g",
    "tea-darjeeling-250g",
    "tea-assam-250g",
    "tea-sencha-200g",
    "tea-peppermint-100g",
];
const GIFT_BOXES: &[&str] =
    &["gift-box-espresso", "gift-box-filter", "gift-box-tea", "gift-box-chocolate", "gift-tasting-set"];
const COLD_BREW: &[&str] = &["cold-brew-bottle", "cold-brew-bags-10", "cold-brew-concentrate"];

pub(crate) const PAIRS: &[Pair] = &[
    once(ESPRESSO_MACHINES, "tamper-58", 48, TOGETHER),
    once(ESPRESSO_MACHINES, "milk-jug-350", 36, TOGETHER),
    once(ESPRESSO_MACHINES, "descaler", 40, TOGETHER),
    once(ESPRESSO_MACHINES, "coffee-espresso-1kg", 35, TOGETHER),
    once(ESPRESSO_MACHINES, "cup-espresso-6", 18, TOGETHER),
    once(ESPRESSO_MACHINES, "portafilter-bottomless", 55, (6, 24)),
    once(ESPRESSO_MACHINES, "knock-box", 50, (5, 24)),
    once(ESPRESSO_MACHINES, "cleaning-tablets", 45, (8, 30)),
    once(ESPRESSO_MACHINES, "grinder-electric-espresso", 20, (0, 14)),
    once(ESPRESSO_MACHINES, "scale-barista", 30, (8, 40)),
    once(ESPRESSO_MACHINES, "brush-group-head", 16, (10, 60)),
    once(&["tamper-58"], "tamping-mat", 34, TOGETHER),
    once(&["portafilter-bottomless"], "distribution-tool", 26, (0, 10)),
    once(&["machine-automatic"], "milk-system-cleaner", 50, TOGETHER),
    once(&["machine-automatic"], "descaler", 55, TOGETHER),
    once(&["machine-automatic"], "cleaning-tablets", 45, TOGETHER),
    once(&["machine-automatic"], "cup-latte-glass-4", 24, TOGETHER),
    once(FILTER_MACHINES, "filter-paper-4", 82, TOGETHER),
    once(FILTER_MACHINES, "coffee-filter-house-ground-500g", 40, TOGETHER),
    once(FILTER_MACHINES, "scoop-coffee", 26, TOGETHER),
    once(FILTER_MACHINES, "jar-coffee-500g", 24, (0, 20)),
    once(FILTER_MACHINES, "descaler", 30, (30, 70)),
    once(&["brewer-v60"], "filter-v60-02", 88, TOGETHER),
    once(&["brewer-v60"], "server-glass", 34, TOGETHER),
    once(&["brewer-v60"], "kettle-gooseneck", 50, (5, 25)),
    once(&["brewer-v60"], "scale-barista", 40, (5, 30)),
    once(&["brewer-v60"], "grinder-hand-steel", 34, (5, 30)),
    once(&["brewer-chemex"], "filter-chemex", 88, TOGETHER),
    once(&["brewer-chemex"], "kettle-gooseneck-electric", 28, (0, 25)),
    once(&["brewer-aeropress"], "filter-aeropress", 62, TOGETHER),
    once(&["brewer-aeropress"], "grinder-hand-ceramic", 26, (0, 30)),
    once(&["brewer-aeropress"], "cup-travel-350", 24, TOGETHER),
    once(&["brewer-french-press"], "coffee-filter-colombia-500g", 34, TOGETHER),
    once(&["brewer-french-press"], "french-press-glass", 14, (60, 200)),
    once(MOKA_POTS, "coffee-espresso-napoli-250g", 66, TOGETHER),
    once(MOKA_POTS, "moka-gasket-3", 26, (60, 160)),
    once(&["machine-capsule-mini"], "capsules-espresso-50", 70, TOGETHER),
    once(&["machine-capsule-mini"], "capsules-lungo-50", 42, TOGETHER),
    once(&["machine-capsule-mini"], "machine-milk-frother", 26, (0, 20)),
    once(&["machine-milk-frother"], "milk-oat-barista", 36, TOGETHER),
    once(&["machine-milk-frother"], "syrup-vanilla", 20, TOGETHER),
    once(&["matcha-ceremonial-30g"], "matcha-whisk", 55, (0, 20)),
    once(&["matcha-whisk"], "matcha-bowl", 38, TOGETHER),
    once(&["matcha-whisk"], "matcha-scoop", 30, TOGETHER),
    once(LOOSE_TEA, "tea-strainer", 10, TOGETHER),
    once(LOOSE_TEA, "teapot-glass", 6, (0, 20)),
    once(HAND_GRINDERS, "brush-grinder", 26, TOGETHER),
    once(ELECTRIC_GRINDERS, "brush-grinder", 24, TOGETHER),
    once(ELECTRIC_GRINDERS, "grinder-cleaner", 30, (10, 60)),
    once(ELECTRIC_GRINDERS, "jar-coffee-1kg", 24, TOGETHER),
    once(&["syrup-vanilla"], "syrup-caramel", 14, TOGETHER),
    once(&["water-jug-filter"], "filter-water-6", 60, TOGETHER),
    always(ESPRESSO_BEANS, "cookies-cantuccini", 7),
    always(ESPRESSO_BEANS, "chocolate-coffee-beans", 4),
    always(ESPRESSO_BEANS, "tonic-espresso-6", 7),
    always(ESPRESSO_BEANS, "syrup-gingerbread", 8),
    always(&["milk-oat-barista", "milk-oat-barista-6"], "syrup-pumpkin-spice", 7),
    always(LOOSE_TEA, "tea-winter-150g", 10),
    always(COLD_BREW, "glass-cold-brew-4", 14),
    always(COLD_BREW, "ice-cube-tray", 12),
    always(&["cup-paper-100"], "cup-paper-lids-100", 72),
    always(GIFT_BOXES, "gift-wrap", 46),
];
