//! Shoppers with a story that an answer can be judged by.

/// A shopper whose purchases are the same whatever the seed.
#[derive(Debug)]
pub struct Hero {
    pub user: &'static str,
    /// What they buy and what an answer should know of it.
    pub story: &'static str,
    pub(crate) routines: &'static [Routine],
}

/// Something that a hero buys so many times, the last time so many days before the end.
#[derive(Debug)]
pub(crate) struct Routine {
    /// With quantities.
    pub(crate) items: &'static [(&'static str, u32)],
    pub(crate) last: u32,
    pub(crate) every: u32,
    pub(crate) times: u32,
    /// The first and the last month of the year (1 to 12) in which they do.
    pub(crate) months: (u32, u32),
}

type Items = &'static [(&'static str, u32)];

const fn single(items: Items, last: u32) -> Routine {
    Routine { items, last, every: 0, times: 1, months: (1, 12) }
}

const fn repeated(items: Items, last: u32, every: u32, times: u32) -> Routine {
    Routine { items, last, every, times, months: (1, 12) }
}

/// The heroes, the one to show first first.
pub const HEROES: &[Hero] = &[
    Hero {
        user: "ada",
        story: "Espresso at home for a year: a kilo of Nera every two weeks (the last 13 days ago), oat drink \
                with every second, cleaning tablets every twelve weeks, descaler every twelve weeks but the last \
                one 14 weeks ago. Beans, oat drink and descaler are due.",
        routines: &[
            single(&[("machine-espresso-classic", 1), ("tamper-58", 1), ("milk-jug-350", 1)], 391),
            repeated(&[("coffee-espresso-1kg", 1)], 13, 14, 28),
            repeated(&[("milk-oat-barista-6", 1)], 27, 28, 13),
            repeated(&[("descaler", 1)], 97, 84, 4),
            repeated(&[("cleaning-tablets", 1)], 55, 84, 4),
            repeated(&[("cookies-cantuccini", 1)], 41, 70, 4),
            single(&[("portafilter-bottomless", 1), ("knock-box", 1)], 363),
        ],
    },
    Hero {
        user: "grace",
        story: "Filter coffee: Colombia every 18 days (the last 17 days ago) and paper filters no. 4 every five \
                weeks, but none for more than seven. Both are due.",
        routines: &[
            single(&[("machine-filter-classic", 1), ("filter-paper-4", 1), ("scoop-coffee", 1)], 305),
            repeated(&[("coffee-filter-colombia-500g", 1)], 17, 18, 17),
            repeated(&[("filter-paper-4", 1)], 53, 36, 7),
            repeated(&[("chocolate-bar-70", 2)], 35, 54, 5),
        ],
    },
    Hero {
        user: "linus",
        story: "New to brewing by hand: a V60 dripper and Ethiopian beans four weeks ago, beans again ten days \
                ago, but no paper filters for it, no gooseneck kettle and no scale: those who buy the dripper do.",
        routines: &[
            single(&[("brewer-v60", 1)], 28),
            repeated(&[("coffee-filter-ethiopia-500g", 1)], 10, 18, 2),
        ],
    },
    Hero {
        user: "alan",
        story: "Bought an espresso machine and his first beans nine days ago and nothing since: what others buy \
                with the machine or soon after (descaler, cleaning tablets, portafilter) is what he lacks.",
        routines: &[single(&[("machine-espresso-classic", 1), ("coffee-espresso-crema-1kg", 1)], 9)],
    },
    Hero {
        user: "margaret",
        story: "Buys for an office of twenty every week: beans and milk in large packs; sugar, biscuits, paper cups \
                with lids every four weeks; cleaning tablets and descaler every eight.",
        routines: &[
            repeated(&[("coffee-espresso-office-3kg", 2), ("milk-whole-uht-12", 1)], 5, 7, 50),
            repeated(&[("sugar-sticks-500", 1), ("cookies-caramel-300", 1)], 26, 28, 12),
            repeated(&[("cup-paper-100", 3), ("cup-paper-lids-100", 3)], 12, 28, 12),
            repeated(&[("cleaning-tablets", 1), ("descaler", 1)], 54, 56, 6),
        ],
    },
    Hero {
        user: "barbara",
        story: "House blend all year, and from June to August cold coffee: bags, cans and ice.",
        routines: &[
            repeated(&[("coffee-filter-house-1kg", 1), ("filter-paper-4", 1)], 20, 24, 16),
            Routine {
                items: &[("cold-brew-bags-10", 2), ("iced-coffee-can-12", 1)],
                last: 8,
                every: 12,
                times: 33,
                months: (6, 8),
            },
        ],
    },
    Hero {
        user: "radia",
        story: "Tea only: Earl Grey every five weeks, peppermint every ten, shortbread with it. Coffee should not \
                be near the top.",
        routines: &[
            repeated(&[("tea-earl-grey-250g", 1), ("cookies-shortbread", 1)], 30, 35, 10),
            repeated(&[("tea-peppermint-100g", 1)], 30, 70, 5),
            single(&[("teapot-glass", 1), ("tea-strainer", 1)], 345),
        ],
    },
    Hero {
        user: "edsger",
        story: "Comes for presents in December and for nothing else.",
        routines: &[Routine {
            items: &[("gift-box-espresso", 2), ("gift-wrap", 2), ("chocolate-truffles", 1)],
            last: 0,
            every: 13,
            times: 31,
            months: (12, 12),
        }],
    },
    Hero {
        user: "ken",
        story: "One purchase, a moka pot and coffee for it, half a year ago.",
        routines: &[single(&[("brewer-moka-3", 1), ("coffee-espresso-napoli-250g", 2)], 182)],
    },
];
