//! What the shop sells.

/// Whether a product can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stock {
    /// All the time.
    Sold,
    /// Not any more, for some weeks.
    Gone,
    /// Since a few days ago: nobody has bought it.
    New,
}

/// When a product is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Season {
    /// In all months alike.
    Always,
    /// From May to September.
    Summer,
    /// From September to November.
    Autumn,
    /// In November and December.
    Christmas,
}

impl Season {
    /// How much more a product of this season is wanted in a month (1 to 12) than in a usual one, in tenths.
    pub(crate) fn pull(self, month: u32) -> u32 {
        match (self, month) {
            (Self::Always, _) => 10,
            (Self::Summer, 6..=8) => 40,
            (Self::Summer, 5 | 9) => 15,
            (Self::Autumn, 9..=11) => 30,
            (Self::Christmas, 12) => 60,
            (Self::Christmas, 11) => 25,
            _ => 1,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct CatalogueItem {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    /// Euro cents.
    pub(crate) cents: u16,
    /// How often it is picked beside the others of its shelf.
    pub(crate) pull: u8,
    pub(crate) season: Season,
    pub(crate) stock: Stock,
}

const fn item(id: &'static str, name: &'static str, cents: u16, pull: u8) -> CatalogueItem {
    CatalogueItem { id, name, cents, pull, season: Season::Always, stock: Stock::Sold }
}

impl CatalogueItem {
    const fn summer(self) -> Self {
        Self { season: Season::Summer, ..self }
    }

    const fn autumn(self) -> Self {
        Self { season: Season::Autumn, ..self }
    }

    const fn christmas(self) -> Self {
        Self { season: Season::Christmas, ..self }
    }

    const fn gone(self) -> Self {
        Self { stock: Stock::Gone, ..self }
    }

    const fn fresh(self) -> Self {
        Self { stock: Stock::New, ..self }
    }
}

/// A category and its products.
pub(crate) type Shelf = (&'static str, &'static [CatalogueItem]);

pub(crate) const SHELVES: &[Shelf] = &[
    ("Espresso beans", ESPRESSO_BEANS),
    ("Filter beans", FILTER_BEANS),
    ("Capsules", CAPSULES),
    ("Filters", FILTERS),
    ("Grinders", GRINDERS),
    ("Machines", MACHINES),
    ("Barista tools", BARISTA_TOOLS),
    ("Cleaning", CLEANING),
    ("Milk", MILK),
    ("Syrups and sugar", SYRUPS),
    ("Cups and glasses", CUPS),
    ("Tea and matcha", TEA),
    ("Chocolate", CHOCOLATE),
    ("Cookies", COOKIES),
    ("Cold coffee", COLD_COFFEE),
    ("Kitchen", KITCHEN),
    ("Gifts", GIFTS),
];

const ESPRESSO_BEANS: &[CatalogueItem] = &[
    item("coffee-espresso-1kg", "Espresso beans \"Nera\", 1 kg", 2190, 60),
    item("coffee-espresso-500g", "Espresso beans \"Nera\", 500 g", 1290, 30),
    item("coffee-espresso-crema-1kg", "Espresso beans \"Crema d'Oro\", 1 kg", 1990, 45),
    item("coffee-espresso-crema-500g", "Espresso beans \"Crema d'Oro\", 500 g", 1150, 18),
    item("coffee-espresso-brazil-1kg", "Espresso beans Brazil Cerrado, 1 kg", 2290, 26),
    item("coffee-espresso-india-500g", "Espresso beans India Monsooned, 500 g", 1390, 9),
    item("coffee-espresso-decaf-500g", "Espresso beans decaf, 500 g", 1350, 14),
    item("coffee-espresso-organic-1kg", "Espresso beans organic, fair trade, 1 kg", 2590, 20),
    item("coffee-espresso-napoli-250g", "Espresso \"Napoli\" ground for moka, 250 g", 690, 24),
    item("coffee-espresso-milano-250g", "Espresso \"Milano\" ground for moka, 250 g", 650, 12),
    item("coffee-espresso-office-3kg", "Espresso beans for the office, 3 kg", 4990, 6),
    item("coffee-espresso-robusta-1kg", "Espresso beans Robusta strong, 1 kg", 1750, 7).gone(),
    item("coffee-espresso-geisha-250g", "Espresso beans Panama Geisha, 250 g", 3490, 2).fresh(),
];

const FILTER_BEANS: &[CatalogueItem] = &[
    item("coffee-filter-ethiopia-500g", "Filter coffee Ethiopia Yirgacheffe, 500 g", 1490, 40),
    item("coffee-filter-ethiopia-1kg", "Filter coffee Ethiopia Yirgacheffe, 1 kg", 2690, 22),
    item("coffee-filter-colombia-500g", "Filter coffee Colombia Huila, 500 g", 1390, 34),
    item("coffee-filter-kenya-250g", "Filter coffee Kenya AA, 250 g", 990, 18),
    item("coffee-filter-guatemala-500g", "Filter coffee Guatemala Antigua, 500 g", 1420, 15),
    item("coffee-filter-house-1kg", "House blend for filter, 1 kg", 1890, 38),
    item("coffee-filter-house-ground-500g", "House blend ground, 500 g", 990, 30),
    item("coffee-filter-decaf-500g", "Filter coffee decaf, 500 g", 1290, 10),
    item("coffee-filter-sumatra-250g", "Filter coffee Sumatra Mandheling, 250 g", 950, 6),
    item("coffee-filter-christmas-500g", "Christmas blend with cinnamon notes, 500 g", 1490, 20).christmas(),
    item("coffee-filter-rwanda-250g", "Filter coffee Rwanda Kivu, 250 g", 1050, 5).gone(),
];

const CAPSULES: &[CatalogueItem] = &[
    item("capsules-espresso-50", "Capsules Espresso, 50 pieces", 1690, 40),
    item("capsules-lungo-50", "Capsules Lungo, 50 pieces", 1690, 28),
    item("capsules-decaf-50", "Capsules decaf, 50 pieces", 1790, 10),
    item("capsules-ristretto-50", "Capsules Ristretto, 50 pieces", 1690, 16),
    item("capsules-vanilla-30", "Capsules vanilla, 30 pieces", 1290, 8),
    item("capsules-compostable-50", "Capsules compostable, 50 pieces", 1990, 12),
];

const FILTERS: &[CatalogueItem] = &[
    item("filter-paper-4", "Paper filters no. 4, 100 pieces", 349, 60),
    item("filter-paper-2", "Paper filters no. 2, 100 pieces", 299, 24),
    item("filter-v60-02", "V60 paper filters 02, 100 pieces", 690, 30),
    item("filter-chemex", "Chemex bonded filters, 100 pieces", 1190, 14),
    item("filter-aeropress", "AeroPress filters, 350 pieces", 790, 16),
    item("filter-metal-4", "Permanent filter, steel, no. 4", 1690, 6),
    item("filter-water-6", "Water filter cartridges, 6 pieces", 2490, 30),
    item("filter-tea-bags", "Tea filter bags, 100 pieces", 390, 12),
];

const GRINDERS: &[CatalogueItem] = &[
    item("grinder-hand-steel", "Hand grinder, steel burrs", 7900, 20),
    item("grinder-hand-ceramic", "Hand grinder, ceramic burrs", 3900, 18),
    item("grinder-electric-filter", "Electric grinder for filter coffee", 12900, 14),
    item("grinder-electric-espresso", "Electric grinder for espresso", 24900, 12),
    item("grinder-single-dose", "Single dose grinder", 39900, 4),
    item("grinder-blade", "Blade grinder", 2490, 8).gone(),
    item("grinder-burrs-spare", "Spare burrs, 40 mm", 2990, 4),
    item("grinder-dosing-cup", "Dosing cup", 1490, 7),
];

const MACHINES: &[CatalogueItem] = &[
    item("machine-espresso-classic", "Espresso machine \"Classica\"", 44900, 22),
    item("machine-espresso-dual", "Espresso machine dual boiler", 64900, 8),
    item("machine-espresso-lever", "Hand lever espresso maker", 15900, 6),
    item("machine-automatic", "Fully automatic coffee machine", 59900, 12),
    item("machine-filter-classic", "Filter coffee machine", 6900, 26),
    item("machine-filter-thermos", "Filter coffee machine with thermos jug", 11900, 16),
    item("machine-capsule-mini", "Capsule machine mini", 8900, 18),
    item("brewer-v60", "V60 dripper, ceramic", 2490, 26),
    item("brewer-chemex", "Chemex for six cups", 4690, 14),
    item("brewer-aeropress", "AeroPress", 3490, 20),
    item("brewer-french-press", "French press, 1 l", 2990, 22),
    item("brewer-moka-3", "Moka pot for three cups", 2690, 24),
    item("brewer-moka-6", "Moka pot for six cups", 3290, 14),
    item("machine-milk-frother", "Electric milk frother", 5900, 20),
    item("machine-smart-brewer", "Smart pour-over brewer", 29900, 3).fresh(),
];

const BARISTA_TOOLS: &[CatalogueItem] = &[
    item("portafilter-bottomless", "Bottomless portafilter, 58 mm", 4990, 16),
    item("tamper-58", "Tamper, 58 mm", 2990, 24),
    item("tamping-mat", "Tamping mat", 1290, 12),
    item("distribution-tool", "Coffee distributor, 58 mm", 3490, 8),
    item("knock-box", "Knock box", 1990, 16),
    item("milk-jug-350", "Milk jug, 350 ml", 1490, 20),
    item("milk-jug-600", "Milk jug, 600 ml", 1790, 14),
    item("scale-barista", "Barista scale with timer", 3990, 20),
    item("thermometer-milk", "Milk thermometer", 990, 8),
    item("kettle-gooseneck", "Gooseneck kettle", 4990, 18),
    item("kettle-gooseneck-electric", "Gooseneck kettle, electric", 8900, 10),
    item("server-glass", "Glass server, 600 ml", 1690, 10),
    item("cocoa-shaker", "Cocoa shaker", 790, 6),
    item("latte-art-pen", "Latte art pen", 590, 3),
    item("moka-gasket-3", "Gasket for moka pot, three cups", 390, 8),
    item("french-press-glass", "Spare glass for French press, 1 l", 1290, 5),
];

const CLEANING: &[CatalogueItem] = &[
    item("descaler", "Descaler, 500 ml", 890, 60),
    item("descaler-organic", "Descaler with citric acid, 1 kg", 790, 20),
    item("cleaning-tablets", "Cleaning tablets, 30 pieces", 1290, 36),
    item("backflush-powder", "Backflush powder, 500 g", 1190, 18),
    item("milk-system-cleaner", "Milk system cleaner, 1 l", 1190, 14),
    item("brush-group-head", "Group head brush", 690, 12),
    item("brush-grinder", "Grinder brush", 490, 10),
    item("cloth-barista", "Barista cloths, 4 pieces", 990, 14),
    item("grinder-cleaner", "Grinder cleaning pellets", 1390, 8),
    item("cleaning-brush-set", "Bottle brush set", 590, 5),
];

const MILK: &[CatalogueItem] = &[
    item("milk-oat-barista", "Oat drink barista, 1 l", 249, 60),
    item("milk-oat-barista-6", "Oat drink barista, 6 x 1 l", 1390, 30),
    item("milk-whole-uht", "Whole milk UHT, 1 l", 149, 36),
    item("milk-whole-uht-12", "Whole milk UHT, 12 x 1 l", 1690, 8),
    item("milk-almond", "Almond drink, 1 l", 279, 14),
    item("milk-soy-barista", "Soy drink barista, 1 l", 229, 14),
    item("milk-coconut", "Coconut drink, 1 l", 269, 7),
    item("milk-condensed", "Condensed milk, 400 g", 239, 6),
    item("milk-powder", "Milk powder, 500 g", 490, 5),
    item("milk-creamer-240", "Coffee creamer portions, 240 pieces", 1090, 10),
    item("milk-pea", "Pea drink, 1 l", 259, 3).gone(),
];

const SYRUPS: &[CatalogueItem] = &[
    item("syrup-vanilla", "Vanilla syrup, 700 ml", 890, 40),
    item("syrup-caramel", "Caramel syrup, 700 ml", 890, 34),
    item("syrup-hazelnut", "Hazelnut syrup, 700 ml", 890, 24),
    item("syrup-salted-caramel", "Salted caramel syrup, 700 ml", 950, 14),
    item("syrup-chocolate", "Chocolate sauce, 500 ml", 790, 16),
    item("syrup-vanilla-sugarfree", "Vanilla syrup without sugar, 700 ml", 950, 10),
    item("syrup-gingerbread", "Gingerbread syrup, 700 ml", 890, 30).christmas(),
    item("syrup-pumpkin-spice", "Pumpkin spice syrup, 700 ml", 890, 26).autumn(),
    item("syrup-coconut", "Coconut syrup, 700 ml", 890, 12).summer(),
    item("syrup-peppermint", "Peppermint syrup, 700 ml", 890, 8).christmas(),
    item("syrup-irish-cream", "Irish cream syrup, 700 ml", 890, 6),
    item("sugar-brown-cubes", "Brown sugar cubes, 500 g", 349, 20),
    item("sugar-sticks-500", "Sugar sticks, 500 pieces", 990, 10),
    item("honey-acacia", "Acacia honey, 500 g", 790, 8),
    item("sweetener-agave", "Agave syrup, 250 ml", 450, 4),
];

const CUPS: &[CatalogueItem] = &[
    item("cup-espresso-6", "Espresso cups, porcelain, 6 pieces", 2990, 22),
    item("cup-cappuccino-6", "Cappuccino cups, porcelain, 6 pieces", 3990, 18),
    item("cup-latte-glass-4", "Latte glasses, 4 pieces", 2490, 18),
    item("cup-double-wall-2", "Double wall glasses, 2 pieces", 1990, 22),
    item("cup-mug-blue", "Mug, blue glaze", 1290, 20),
    item("cup-mug-speckled", "Mug, speckled stoneware", 1490, 16),
    item("cup-mug-white", "Mug, white", 890, 12),
    item("cup-travel-350", "Travel mug, 350 ml", 2490, 26),
    item("cup-travel-500", "Travel mug, 500 ml", 2890, 12),
    item("cup-enamel", "Enamel mug", 1190, 10),
    item("cup-paper-100", "Paper cups, 100 pieces", 990, 12),
    item("cup-paper-lids-100", "Lids for paper cups, 100 pieces", 590, 8),
    item("glass-cold-brew-4", "Tall glasses for cold drinks, 4 pieces", 1990, 10).summer(),
    item("spoon-espresso-6", "Espresso spoons, 6 pieces", 1490, 8),
    item("spoon-latte-6", "Long latte spoons, 6 pieces", 1690, 6),
    item("saucer-set-6", "Saucers, 6 pieces", 1790, 4).gone(),
    item("cup-santa", "Mug with reindeer", 1290, 12).christmas(),
];

const TEA: &[CatalogueItem] = &[
    item("matcha-ceremonial-30g", "Matcha, ceremonial grade, 30 g", 2490, 26),
    item("matcha-cooking-100g", "Matcha for cooking, 100 g", 1990, 14),
    item("matcha-whisk", "Bamboo whisk for matcha", 1690, 20),
    item("matcha-bowl", "Matcha bowl", 2490, 10),
    item("matcha-scoop", "Bamboo scoop for matcha", 690, 6),
    item("tea-earl-grey-250g", "Earl Grey, loose, 250 g", 1190, 26),
    item("tea-darjeeling-250g", "Darjeeling first flush, loose, 250 g", 1690, 18),
    item("tea-assam-250g", "Assam, loose, 250 g", 990, 16),
    item("tea-sencha-200g", "Sencha, loose, 200 g", 1490, 16),
    item("tea-peppermint-100g", "Peppermint tea, loose, 100 g", 590, 14),
    item("tea-rooibos-250g", "Rooibos vanilla, loose, 250 g", 890, 12),
    item("tea-chai-200g", "Chai spices, 200 g", 890, 14),
    item("tea-winter-150g", "Winter fruit tea, 150 g", 790, 18).christmas(),
    item("tea-iced-peach-500g", "Iced tea peach, 500 g", 690, 14).summer(),
    item("teapot-glass", "Glass teapot with strainer", 2990, 12),
    item("tea-strainer", "Tea strainer", 990, 12),
    item("tea-oolong-100g", "Oolong, loose, 100 g", 1590, 5),
    item("tea-hojicha-100g", "Hojicha, loose, 100 g", 1390, 3).fresh(),
];

const CHOCOLATE: &[CatalogueItem] = &[
    item("chocolate-drinking-dark", "Drinking chocolate dark, 250 g", 790, 26),
    item("chocolate-drinking-milk", "Drinking chocolate milk, 250 g", 690, 18),
    item("chocolate-bar-70", "Chocolate bar 70 %, 100 g", 390, 30),
    item("chocolate-bar-85", "Chocolate bar 85 %, 100 g", 420, 14),
    item("chocolate-bar-seasalt", "Chocolate bar sea salt, 100 g", 420, 20),
    item("chocolate-bar-hazelnut", "Chocolate bar hazelnut, 100 g", 420, 16),
    item("chocolate-coffee-beans", "Coffee beans in chocolate, 150 g", 590, 22),
    item("chocolate-cocoa-250g", "Cocoa powder, 250 g", 590, 14),
    item("chocolate-napolitains-100", "Chocolate squares for the saucer, 100 pieces", 1490, 10),
    item("chocolate-santa", "Chocolate Santa, 150 g", 490, 16).christmas(),
    item("chocolate-truffles", "Truffles, 200 g", 1290, 12).christmas(),
];

const COOKIES: &[CatalogueItem] = &[
    item("cookies-cantuccini", "Cantuccini with almonds, 250 g", 490, 30),
    item("cookies-amaretti", "Amaretti, 200 g", 450, 16),
    item("cookies-shortbread", "Shortbread, 200 g", 420, 18),
    item("cookies-oat", "Oat cookies, 250 g", 390, 14),
    item("cookies-caramel-300", "Caramel biscuits, 300 single packs", 1690, 12),
    item("cookies-stroopwafel", "Stroopwafels, 10 pieces", 390, 20),
    item("cookies-biscotti-chocolate", "Biscotti with chocolate, 250 g", 520, 10),
    item("cookies-gluten-free", "Cookies without gluten, 180 g", 450, 6),
    item("cookies-speculoos", "Speculoos, 400 g", 490, 20).christmas(),
    item("cookies-gingerbread", "Gingerbread, 500 g", 790, 22).christmas(),
    item("cookies-stollen", "Stollen, 750 g", 1290, 14).christmas(),
    item("cookies-macarons-12", "Macarons, 12 pieces", 1490, 4).gone(),
];

const COLD_COFFEE: &[CatalogueItem] = &[
    item("cold-brew-bottle", "Cold brew bottle, 1 l", 2990, 20).summer(),
    item("cold-brew-bags-10", "Cold brew bags, 10 pieces", 1290, 24).summer(),
    item("cold-brew-concentrate", "Cold brew concentrate, 500 ml", 890, 20).summer(),
    item("iced-coffee-can-12", "Iced latte, 12 cans", 1990, 24).summer(),
    item("ice-cube-tray", "Ice cube tray, large cubes", 990, 14).summer(),
    item("tonic-espresso-6", "Tonic for espresso tonic, 6 bottles", 890, 16).summer(),
    item("straws-steel-8", "Steel straws, 8 pieces", 790, 10).summer(),
    item("affogato-glasses-4", "Affogato glasses, 4 pieces", 1890, 6).summer(),
];

const KITCHEN: &[CatalogueItem] = &[
    item("jar-coffee-500g", "Airtight jar for 500 g of coffee", 1990, 22),
    item("jar-coffee-1kg", "Airtight jar for 1 kg of coffee", 2490, 16),
    item("jar-cookies", "Cookie jar", 1790, 8),
    item("kettle-electric", "Electric kettle with temperatures", 5900, 12),
    item("tray-wood", "Serving tray, oak", 2490, 8),
    item("towel-linen-2", "Linen towels, 2 pieces", 1690, 10),
    item("apron-barista", "Barista apron", 2990, 6),
    item("scoop-coffee", "Coffee scoop, steel", 690, 14),
    item("clip-bag-4", "Bag clips, 4 pieces", 490, 12),
    item("blender-hand", "Hand blender", 4490, 6),
    item("thermos-1l", "Thermos flask, 1 l", 3490, 12),
    item("water-jug-filter", "Water filter jug", 2490, 12),
    item("waffle-iron", "Waffle iron", 4990, 6),
    item("cake-tin", "Cake tin, 26 cm", 1490, 5),
    item("timer-magnet", "Kitchen timer", 990, 4),
    item("cook-book-coffee", "The little coffee book", 1990, 6),
    item("spice-cinnamon", "Ceylon cinnamon, 50 g", 390, 10),
    item("mortar-granite", "Granite mortar", 2990, 2).fresh(),
];

const GIFTS: &[CatalogueItem] = &[
    item("gift-box-espresso", "Gift box espresso", 3990, 20).christmas(),
    item("gift-box-filter", "Gift box filter coffee", 3990, 16).christmas(),
    item("gift-box-tea", "Gift box tea", 3490, 14).christmas(),
    item("gift-box-chocolate", "Gift box chocolate", 2990, 16).christmas(),
    item("gift-tasting-set", "Tasting set, 5 coffees", 2490, 18),
    item("gift-card-25", "Gift card, 25 euros", 2500, 12),
    item("gift-card-50", "Gift card, 50 euros", 5000, 10),
    item("gift-wrap", "Gift wrapping", 390, 16).christmas(),
    item("gift-advent-calendar", "Coffee advent calendar", 4990, 18).autumn(),
    item("gift-barista-course", "Barista course for two", 14900, 4),
];
