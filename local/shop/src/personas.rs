//! Kinds of shoppers and what they come back for.

/// Products of which a shopper has a favourite, by weight.
pub(crate) type Picks = &'static [(&'static str, u32)];

/// Something that is used up and bought again.
#[derive(Debug)]
pub(crate) struct Habit {
    pub(crate) picks: Picks,
    /// Days from one time to the next, at least and at most.
    pub(crate) every: (u32, u32),
    pub(crate) quantity: (u32, u32),
    /// Of a hundred such shoppers, how many have it.
    pub(crate) share: u32,
    /// Of a hundred times, how often it is the favourite.
    pub(crate) loyal: u32,
}

#[derive(Debug)]
pub(crate) struct Persona {
    /// How many there are beside the others.
    pub(crate) weight: u32,
    /// What one begins with.
    pub(crate) starts: Picks,
    /// Of a hundred, how many begin with one of them; the others have it from elsewhere.
    pub(crate) starts_percent: u32,
    pub(crate) habits: &'static [Habit],
    /// The shelves that one looks at besides, by weight.
    pub(crate) looks_at: Picks,
    /// Of a hundred orders, how many have something from there.
    pub(crate) looks_percent: u32,
}

const fn habit(picks: Picks, every: (u32, u32), share: u32, loyal: u32) -> Habit {
    Habit { picks, every, quantity: (1, 1), share, loyal }
}

const fn many(picks: Picks, every: (u32, u32), quantity: (u32, u32), share: u32, loyal: u32) -> Habit {
    Habit { picks, every, quantity, share, loyal }
}

const DESCALERS: Picks = &[("descaler", 75), ("descaler-organic", 25)];
const OAT_OR_COW: Picks = &[("milk-oat-barista-6", 30), ("milk-oat-barista", 22), ("milk-whole-uht", 12)];

/// Everybody who comes back.
pub(crate) const PERSONAS: &[Persona] =
    &[ESPRESSO, FILTER_MACHINE, POUR_OVER, MOKA, AUTOMATIC, CAPSULE, MATCHA, TEA, FAMILY, OFFICE];

const ESPRESSO: Persona = Persona {
    weight: 24,
    starts: &[
        ("machine-espresso-classic", 50),
        ("machine-espresso-dual", 12),
        ("machine-espresso-lever", 8),
        ("grinder-electric-espresso", 12),
    ],
    starts_percent: 55,
    habits: &[
        habit(
            &[
                ("coffee-espresso-1kg", 42),
                ("coffee-espresso-crema-1kg", 34),
                ("coffee-espresso-brazil-1kg", 22),
                ("coffee-espresso-organic-1kg", 20),
                ("coffee-espresso-500g", 16),
                ("coffee-espresso-decaf-500g", 10),
                ("coffee-espresso-india-500g", 10),
                ("coffee-espresso-robusta-1kg", 5),
            ],
            (12, 22),
            100,
            82,
        ),
        many(OAT_OR_COW, (18, 34), (1, 3), 45, 90),
        habit(DESCALERS, (80, 105), 70, 92),
        habit(&[("cleaning-tablets", 50), ("backflush-powder", 40)], (70, 110), 45, 90),
        habit(&[("filter-water-6", 1)], (90, 130), 28, 100),
        habit(
            &[
                ("syrup-vanilla", 40),
                ("syrup-caramel", 34),
                ("syrup-hazelnut", 22),
                ("syrup-vanilla-sugarfree", 10),
            ],
            (45, 80),
            22,
            75,
        ),
    ],
    looks_at: &[
        ("Cookies", 26),
        ("Chocolate", 22),
        ("Barista tools", 14),
        ("Cups and glasses", 14),
        ("Cold coffee", 14),
        ("Syrups and sugar", 8),
        ("Kitchen", 6),
        ("Gifts", 6),
        ("Espresso beans", 10),
    ],
    looks_percent: 26,
};

const FILTER_MACHINE: Persona = Persona {
    weight: 20,
    starts: &[("machine-filter-classic", 30), ("machine-filter-thermos", 18)],
    starts_percent: 45,
    habits: &[
        habit(
            &[
                ("coffee-filter-house-1kg", 40),
                ("coffee-filter-house-ground-500g", 32),
                ("coffee-filter-colombia-500g", 24),
                ("coffee-filter-decaf-500g", 7),
            ],
            (14, 24),
            100,
            84,
        ),
        habit(&[("filter-paper-4", 82), ("filter-paper-2", 18)], (36, 50), 92, 96),
        many(
            &[("milk-whole-uht", 30), ("milk-condensed", 8), ("milk-oat-barista", 18)],
            (20, 38),
            (1, 4),
            26,
            90,
        ),
        habit(DESCALERS, (85, 110), 55, 92),
        habit(&[("sugar-brown-cubes", 1)], (50, 90), 22, 100),
        habit(
            &[("cookies-shortbread", 20), ("cookies-oat", 14), ("cookies-stroopwafel", 18)],
            (25, 50),
            28,
            60,
        ),
    ],
    looks_at: &[
        ("Cookies", 28),
        ("Chocolate", 20),
        ("Cups and glasses", 16),
        ("Kitchen", 12),
        ("Filter beans", 14),
        ("Gifts", 6),
        ("Syrups and sugar", 6),
    ],
    looks_percent: 24,
};

const POUR_OVER: Persona = Persona {
    weight: 18,
    starts: &[
        ("brewer-v60", 64),
        ("brewer-chemex", 16),
        ("grinder-hand-steel", 14),
        ("brewer-aeropress", 14),
    ],
    starts_percent: 60,
    habits: &[
        habit(
            &[
                ("coffee-filter-ethiopia-500g", 40),
                ("coffee-filter-ethiopia-1kg", 22),
                ("coffee-filter-kenya-250g", 18),
                ("coffee-filter-guatemala-500g", 15),
                ("coffee-filter-sumatra-250g", 6),
                ("coffee-filter-rwanda-250g", 6),
            ],
            (11, 20),
            100,
            66,
        ),
        habit(&[("filter-v60-02", 80), ("filter-chemex", 18), ("filter-aeropress", 12)], (40, 60), 85, 97),
        habit(&[("filter-water-6", 1)], (90, 130), 30, 100),
    ],
    looks_at: &[
        ("Barista tools", 24),
        ("Filter beans", 24),
        ("Grinders", 10),
        ("Cups and glasses", 16),
        ("Cold coffee", 16),
        ("Chocolate", 10),
    ],
    looks_percent: 28,
};

const MOKA: Persona = Persona {
    weight: 8,
    starts: &[("brewer-moka-3", 30), ("brewer-moka-6", 18)],
    starts_percent: 60,
    habits: &[
        habit(&[("coffee-espresso-napoli-250g", 60), ("coffee-espresso-milano-250g", 32)], (9, 16), 100, 85),
        habit(&[("cookies-amaretti", 20), ("cookies-cantuccini", 22)], (25, 45), 45, 80),
        habit(&[("moka-gasket-3", 1)], (130, 200), 45, 100),
        habit(&[("sugar-brown-cubes", 1)], (45, 80), 30, 100),
    ],
    looks_at: &[("Cookies", 26), ("Chocolate", 20), ("Cups and glasses", 20), ("Kitchen", 10)],
    looks_percent: 22,
};

const AUTOMATIC: Persona = Persona {
    weight: 8,
    starts: &[("machine-automatic", 1)],
    starts_percent: 50,
    habits: &[
        habit(
            &[
                ("coffee-espresso-crema-1kg", 60),
                ("coffee-espresso-organic-1kg", 20),
                ("coffee-espresso-brazil-1kg", 20),
                ("coffee-espresso-1kg", 20),
            ],
            (16, 28),
            100,
            86,
        ),
        many(OAT_OR_COW, (16, 30), (2, 4), 55, 92),
        habit(DESCALERS, (60, 85), 85, 92),
        habit(&[("cleaning-tablets", 1)], (60, 85), 70, 100),
        habit(&[("milk-system-cleaner", 1)], (55, 80), 60, 100),
        habit(&[("filter-water-6", 1)], (100, 140), 50, 100),
    ],
    looks_at: &[("Cups and glasses", 20), ("Syrups and sugar", 20), ("Cookies", 20), ("Chocolate", 16)],
    looks_percent: 20,
};

const CAPSULE: Persona = Persona {
    weight: 9,
    starts: &[("machine-capsule-mini", 1)],
    starts_percent: 50,
    habits: &[
        many(
            &[
                ("capsules-espresso-50", 40),
                ("capsules-lungo-50", 28),
                ("capsules-ristretto-50", 16),
                ("capsules-compostable-50", 12),
                ("capsules-decaf-50", 10),
            ],
            (18, 32),
            (1, 2),
            100,
            66,
        ),
        habit(DESCALERS, (90, 120), 45, 92),
        many(
            &[("milk-oat-barista", 20), ("milk-whole-uht", 20), ("milk-almond", 10)],
            (14, 30),
            (1, 2),
            35,
            90,
        ),
    ],
    looks_at: &[("Capsules", 24), ("Cookies", 22), ("Chocolate", 20), ("Cups and glasses", 14), ("Gifts", 6)],
    looks_percent: 24,
};

const MATCHA: Persona = Persona {
    weight: 8,
    starts: &[("matcha-ceremonial-30g", 1)],
    starts_percent: 70,
    habits: &[
        habit(&[("matcha-ceremonial-30g", 1)], (22, 36), 100, 100),
        habit(&[("matcha-cooking-100g", 1)], (50, 90), 30, 100),
        many(&[("milk-oat-barista", 30), ("milk-almond", 14), ("milk-coconut", 8)], (10, 20), (1, 3), 70, 88),
        habit(&[("honey-acacia", 20), ("sweetener-agave", 12)], (50, 80), 30, 90),
    ],
    looks_at: &[("Tea and matcha", 40), ("Chocolate", 20), ("Cups and glasses", 16), ("Kitchen", 10)],
    looks_percent: 26,
};

const TEA: Persona = Persona {
    weight: 10,
    starts: &[("teapot-glass", 20), ("tea-strainer", 20), ("kettle-electric", 12)],
    starts_percent: 45,
    habits: &[
        habit(
            &[
                ("tea-earl-grey-250g", 30),
                ("tea-assam-250g", 18),
                ("tea-darjeeling-250g", 18),
                ("tea-sencha-200g", 16),
            ],
            (25, 42),
            100,
            84,
        ),
        habit(
            &[
                ("tea-peppermint-100g", 20),
                ("tea-rooibos-250g", 18),
                ("tea-chai-200g", 16),
                ("tea-oolong-100g", 6),
            ],
            (30, 60),
            70,
            66,
        ),
        habit(&[("filter-tea-bags", 1)], (60, 90), 45, 100),
        habit(&[("honey-acacia", 1)], (60, 100), 30, 100),
        habit(&[("cookies-shortbread", 30), ("cookies-oat", 10)], (28, 50), 40, 85),
    ],
    looks_at: &[("Tea and matcha", 40), ("Cookies", 22), ("Chocolate", 18), ("Kitchen", 8), ("Gifts", 6)],
    looks_percent: 26,
};

const FAMILY: Persona = Persona {
    weight: 9,
    starts: &[("machine-milk-frother", 20), ("waffle-iron", 10), ("cup-mug-blue", 10)],
    starts_percent: 40,
    habits: &[
        habit(&[("chocolate-drinking-dark", 26), ("chocolate-drinking-milk", 24)], (20, 36), 100, 88),
        habit(&[("coffee-filter-house-ground-500g", 30), ("coffee-filter-house-1kg", 20)], (18, 30), 75, 92),
        habit(&[("filter-paper-4", 1)], (45, 65), 60, 100),
        many(&[("milk-whole-uht", 40), ("milk-oat-barista", 14)], (18, 32), (2, 6), 45, 94),
        many(&[("chocolate-bar-seasalt", 20), ("chocolate-bar-hazelnut", 22)], (20, 45), (1, 3), 45, 70),
    ],
    looks_at: &[
        ("Cookies", 30),
        ("Chocolate", 26),
        ("Kitchen", 14),
        ("Syrups and sugar", 12),
        ("Cold coffee", 10),
    ],
    looks_percent: 30,
};

const OFFICE: Persona = Persona {
    weight: 4,
    starts: &[("machine-automatic", 20), ("machine-filter-thermos", 10)],
    starts_percent: 30,
    habits: &[
        many(
            &[("coffee-espresso-office-3kg", 60), ("coffee-espresso-crema-1kg", 20)],
            (7, 12),
            (1, 3),
            100,
            95,
        ),
        many(&[("milk-whole-uht-12", 40), ("milk-oat-barista-6", 24)], (7, 12), (1, 3), 90, 95),
        habit(&[("sugar-sticks-500", 1)], (25, 40), 80, 100),
        habit(&[("cookies-caramel-300", 1)], (25, 40), 75, 100),
        many(&[("cup-paper-100", 1)], (20, 35), (1, 4), 50, 100),
        habit(&[("cleaning-tablets", 1)], (35, 50), 80, 100),
        habit(DESCALERS, (40, 60), 85, 95),
        many(&[("milk-creamer-240", 1)], (25, 45), (1, 2), 45, 100),
    ],
    looks_at: &[("Chocolate", 20), ("Tea and matcha", 20), ("Cookies", 20)],
    looks_percent: 16,
};

/// Those who come once, or now and then, without a habit.
pub(crate) const VISITOR_LOOKS_AT: Picks = &[
    ("Espresso beans", 7),
    ("Filter beans", 7),
    ("Capsules", 4),
    ("Filters", 2),
    ("Grinders", 3),
    ("Machines", 5),
    ("Barista tools", 4),
    ("Cleaning", 2),
    ("Milk", 1),
    ("Syrups and sugar", 7),
    ("Cups and glasses", 12),
    ("Tea and matcha", 9),
    ("Chocolate", 11),
    ("Cookies", 8),
    ("Cold coffee", 9),
    ("Kitchen", 10),
    ("Gifts", 14),
];
