//! Prices as people write them to minor units, exactly.

use nextbasket_domain::{Currency, Money};

#[cfg(test)]
use crate::number_format::DecimalSign;
use crate::number_format::{Decimal, NumberReading, read_unsigned};

/// The meaning of a price's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Price {
    Exact(Money),
    /// It had more decimals than the currency.
    Rounded(Money),
    /// Nothing, or less than half a minor unit.
    Zero(Currency),
    Negative,
    /// No number, or more than a price can be.
    Unreadable,
}

#[cfg(test)]
impl Price {
    pub(crate) fn money(self) -> Option<Money> {
        match self {
            Self::Exact(money) | Self::Rounded(money) => Some(money),
            _ => None,
        }
    }
}

/// Decimals of the currencies that do not have two (ISO 4217, list one).
pub(crate) fn decimals(currency: Currency) -> u32 {
    match currency.as_str() {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// Signs of currencies beside an amount, longer ones first. A sign that several currencies share stands for the first,
/// unless the prices of the file are in one of the others.
const SIGNS: [(&str, &[&str]); 26] = [
    ("US$", &["USD"]),
    ("CA$", &["CAD"]),
    ("AU$", &["AUD"]),
    ("NZ$", &["NZD"]),
    ("HK$", &["HKD"]),
    ("R$", &["BRL"]),
    ("A$", &["AUD"]),
    ("C$", &["CAD"]),
    ("S$", &["SGD"]),
    ("$", &["USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "MXN", "ARS", "CLP", "COP", "UYU"]),
    ("£", &["GBP", "EGP", "GIP", "FKP", "SHP", "SYP"]),
    ("€", &["EUR"]),
    ("¥", &["JPY", "CNY"]),
    ("￥", &["JPY", "CNY"]),
    ("元", &["CNY", "TWD"]),
    ("円", &["JPY"]),
    ("₹", &["INR"]),
    ("₩", &["KRW"]),
    ("₽", &["RUB"]),
    ("₺", &["TRY"]),
    ("₴", &["UAH"]),
    ("₪", &["ILS"]),
    ("₫", &["VND"]),
    ("zł", &["PLN"]),
    ("Kč", &["CZK"]),
    ("Ft", &["HUF"]),
];

/// The codes of ISO 4217 that prices can be in: beside a number, other three letters are no currency.
const CODES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN \
                     BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS \
                     GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW \
                     KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN \
                     NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK \
                     SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS \
                     VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG";

/// The signs of Nordic crowns: they are read only if the file's prices are in one of them.
const CROWNS: [&str; 4] = ["SEK", "NOK", "DKK", "ISK"];

/// A price's text without what stands around the number.
pub(crate) struct PriceText<'a> {
    pub(crate) negative: bool,
    pub(crate) number: &'a str,
    /// The currency that the text names; `None` inside if it names an unknown one.
    pub(crate) currency: Option<Option<Currency>>,
}

/// Takes off signs, brackets and a currency before or behind the number; `usual` is the currency of prices without one.
pub(crate) fn unwrap_price(text: &str, usual: Currency) -> PriceText<'_> {
    let mut rest = text.trim();
    let mut negative = false;
    if let Some(inner) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        (negative, rest) = (true, inner.trim());
    }
    let mut currency = None;
    // A sign may stand before or behind the currency, a currency on either side: `-$5`, `$-5`, `5 €-`.
    for _ in 0..3 {
        if let Some(unsigned) = rest.strip_prefix(['-', '\u{2212}']).or_else(|| rest.strip_suffix('-')) {
            if negative {
                break;
            }
            (negative, rest) = (true, unsigned.trim());
        } else if let Some(unsigned) = rest.strip_prefix('+') {
            rest = unsigned.trim_start();
        } else if currency.is_none()
            && let Some((named, without)) = strip_currency(rest, usual)
        {
            (currency, rest) = (Some(named), without);
        } else {
            break;
        }
    }
    PriceText { negative, number: rest, currency }
}

/// The currency at one of the ends, and the text without it.
fn strip_currency(text: &str, usual: Currency) -> Option<(Option<Currency>, &str)> {
    if text.ends_with(|end: char| end.is_ascii_digit())
        && text.starts_with(|start: char| start.is_ascii_digit())
    {
        return None;
    }
    for (sign, codes) in SIGNS {
        if let Some(rest) = text.strip_prefix(sign).or_else(|| text.strip_suffix(sign)) {
            let shared = codes.iter().find(|code| **code == usual.as_str()).or(codes.first());
            return Some((shared.and_then(|code| Currency::parse(code).ok()), rest.trim()));
        }
    }
    let is_letter = |letter: char| letter.is_ascii_alphabetic();
    let (word, rest) = if text.starts_with(is_letter) {
        text.split_at(text.find(|letter| !is_letter(letter)).unwrap_or(text.len()))
    } else {
        let start = text.rfind(|letter| !is_letter(letter)).map_or(0, |at| at + 1);
        let start = text.ceil_char_boundary(start);
        (text.get(start..)?, text.get(..start)?)
    };
    let named = match word.to_ascii_lowercase().as_str() {
        "kr" if CROWNS.contains(&usual.as_str()) => Some(usual),
        "fr" | "sfr" => Currency::parse("CHF").ok(),
        "rs" => Currency::parse("INR").ok(),
        code => {
            let code = code.to_ascii_uppercase();
            let is_known = code.len() == 3 && CODES.split(' ').any(|known| known == code);
            if !is_known {
                return None;
            }
            Currency::parse(&code).ok()
        }
    };
    // `Fr. 12.50`, but `USD.50`
    let is_abbreviation = |after: &&str| !after.starts_with(|next: char| next.is_ascii_digit());
    Some((named, rest.strip_prefix('.').filter(is_abbreviation).unwrap_or(rest).trim()))
}

/// Reads a price in major units. `decimal` decides what can be read in two ways.
#[cfg(test)]
pub(crate) fn parse(text: &str, usual: Currency, decimal: Option<DecimalSign>) -> Price {
    match number_of(text, usual) {
        Some((reading, currency)) => of_amount(reading.decide(decimal), currency),
        None => Price::Unreadable,
    }
}

/// The number in a price's text, and its currency.
pub(crate) fn number_of(text: &str, usual: Currency) -> Option<(NumberReading, Currency)> {
    let PriceText { negative, number, currency } = unwrap_price(text, usual);
    Some((read_unsigned(number, negative)?, currency.unwrap_or(Some(usual))?))
}

/// The price of an amount in major units.
pub(crate) fn of_amount(amount: Decimal, currency: Currency) -> Price {
    of_units(amount, amount.in_units(decimals(currency)), currency)
}

/// The price of one of `quantity`, of which all together cost this much.
pub(crate) fn of_total(total: Decimal, quantity: u32, currency: Currency) -> Price {
    of_units(total, total.divided_in_units(quantity, decimals(currency)), currency)
}

fn of_units(amount: Decimal, units: Option<(u128, bool)>, currency: Currency) -> Price {
    if amount.is_zero() {
        return Price::Zero(currency);
    }
    if amount.negative {
        return Price::Negative;
    }
    let Some((units, is_rounded)) = units else { return Price::Unreadable };
    if units == 0 {
        return Price::Zero(currency);
    }
    match i64::try_from(units).ok().and_then(|units| Money::new(units, currency).ok()) {
        Some(money) if is_rounded => Price::Rounded(money),
        Some(money) => Price::Exact(money),
        None => Price::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn euros(text: &str) -> Price {
        parse(text, Currency::parse("EUR").unwrap(), None)
    }

    fn amount(text: &str, currency: &str) -> Option<i64> {
        parse(text, Currency::parse(currency).unwrap(), None).money().map(|money| money.amount())
    }

    #[test]
    fn decimal_texts_are_minor_units_exactly() {
        for (text, is) in [
            ("2.55", 255),
            ("2.5", 250),
            ("2", 200),
            (".5", 50),
            ("5.", 500),
            ("+2.55", 255),
            ("38970.00", 3_897_000),
            ("11,062.06", 1_106_206),
            ("11.062,06", 1_106_206),
            ("1,234,567.89", 123_456_789),
            ("1.234.567", 123_456_700),
            ("1,234,567", 123_456_700),
            ("2,55", 255),
            ("2,5", 250),
            ("0,125", 13),
            ("1234,567", 123_457),
            ("0.29", 29),
            ("1.005", 101),
            ("0.005", 1),
            ("12.989999999999998", 1_299),
            ("9999999999.99", 999_999_999_999),
        ] {
            assert_eq!(amount(text, "EUR"), Some(is), "{text}");
        }
    }

    #[test]
    fn the_decimal_sign_of_the_file_decides_what_can_be_read_in_two_ways() {
        let euros = Currency::parse("EUR").unwrap();
        let read = |text, sign| parse(text, euros, Some(sign)).money().map(|money| money.amount());
        assert_eq!(read("1.000", DecimalSign::Comma), Some(100_000));
        assert_eq!(read("1,234", DecimalSign::Comma), Some(123));
        assert_eq!(read("1.000", DecimalSign::Point), Some(100));
        assert_eq!(read("1,234", DecimalSign::Point), Some(123_400));
    }

    #[test]
    fn a_currency_has_its_own_decimals() {
        assert_eq!(amount("1500", "JPY"), Some(1500));
        assert_eq!(amount("1500.4", "JPY"), Some(1500));
        assert_eq!(amount("1.2345", "KWD"), Some(1235));
    }

    #[test]
    fn a_price_names_its_currency() {
        for (text, usual, is) in [
            ("$8.00", "EUR", "800 USD"),
            ("$8.00", "CAD", "800 CAD"),
            ("£2.55", "EUR", "255 GBP"),
            ("12,90 €", "USD", "1290 EUR"),
            ("12,90\u{a0}€", "USD", "1290 EUR"),
            ("€12.90", "USD", "1290 EUR"),
            ("15.00 USD", "EUR", "1500 USD"),
            ("USD 15.00", "EUR", "1500 USD"),
            ("chf 1'234.50", "EUR", "123450 CHF"),
            ("Fr. 12.50", "EUR", "1250 CHF"),
            ("1 234,56", "EUR", "123456 EUR"),
            ("¥1500", "EUR", "1500 JPY"),
            ("¥15.00", "CNY", "1500 CNY"),
            ("129 kr", "SEK", "12900 SEK"),
            ("49,99 zł", "EUR", "4999 PLN"),
            ("R$ 1.234,50", "EUR", "123450 BRL"),
        ] {
            let read = parse(text, Currency::parse(usual).unwrap(), None).money();
            let shown = read.map(|money| format!("{} {}", money.amount(), money.currency().as_str()));
            assert_eq!(shown.as_deref(), Some(is), "{text}");
        }
        for text in ["129 kr", "12 apples", "5 dollars", "12 pcs", "$", "€€5", "$5 €", "15.00 XYZ1"] {
            assert_eq!(euros(text), Price::Unreadable, "{text}");
        }
    }

    #[test]
    fn strange_prices_are_named() {
        for text in ["0", "0.00", "-0", "0.001", "00", "0,00", "€0.00"] {
            assert_eq!(euros(text), Price::Zero(Currency::parse("EUR").unwrap()), "{text}");
        }
        for text in ["-1", "-0.001", "-11,062.06", "−5", "-$5.00", "$-5.00", "(5.00)", "5.00-", "($5.00)"] {
            assert_eq!(euros(text), Price::Negative, "{text}");
        }
        for text in [
            "",
            ".",
            ",",
            "-",
            "NaN",
            "inf",
            "1e3",
            "2 55",
            "1,23,4.5",
            "1,23.4",
            "1.2.3",
            ",123.4",
            "1234,567.8",
            "10000000000.01",
            "99999999999999999999",
            "--1",
            "1.2,3.4",
            "1,234.567.8",
        ] {
            assert_eq!(euros(text), Price::Unreadable, "{text}");
        }
    }

    #[test]
    fn a_line_total_is_divided_by_the_quantity() {
        let euros = Currency::parse("EUR").unwrap();
        let total =
            |text: &str, quantity| of_total(number_of(text, euros).unwrap().0.decide(None), quantity, euros);
        assert_eq!(total("9.00", 3), Price::Exact(Money::new(300, euros).unwrap()));
        assert_eq!(total("10.00", 3), Price::Rounded(Money::new(333, euros).unwrap()));
        assert_eq!(total("-9.00", 3), Price::Negative);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(amount in 1..=nextbasket_domain::money::MAX_AMOUNT) {
            let money = Money::new(amount, Currency::parse("EUR").unwrap()).unwrap();
            prop_assert_eq!(euros(&format!("{}.{:02}", amount / 100, amount % 100)), Price::Exact(money));
            prop_assert_eq!(euros(&format!("{},{:02} €", amount / 100, amount % 100)), Price::Exact(money));
        }

        #[test]
        fn no_text_breaks_it(text in "[-+0-9.,e $€kr()]{0,12}|.{0,12}") {
            euros(&text);
        }
    }
}
