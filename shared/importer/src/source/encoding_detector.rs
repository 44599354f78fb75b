//! Detects the encoding of a text that comes in pieces, in flat memory.

use std::borrow::Cow;

use super::legacy_words::LegacyWords;
use super::text_encoding::TextEncoding;
use crate::error::ImportError;
use crate::unsupported;

/// The bytes that are looked at for marks and zero bytes.
const HEAD_BYTES: usize = 4_096;

/// Detects the encoding of a text. Only what is not UTF-8 costs more than a check for it.
///
/// A text is UTF-8 if more of its characters beyond ASCII are valid UTF-8 than not. In other encodings hardly any are
/// by chance, so such a text is a UTF-8 one of which some lines are in another encoding; those are better refused than
/// the others garbled.
pub(crate) struct EncodingDetector {
    /// The first bytes, until there are enough of them.
    head: Option<Vec<u8>>,
    /// What a byte order mark or zero bytes say.
    decided: Option<TextEncoding>,
    /// The start of a character whose end has not come yet.
    open_character: Vec<u8>,
    valid: u64,
    invalid: u64,
    legacy: Option<Box<LegacyWords>>,
}

impl EncodingDetector {
    pub(crate) fn new() -> Self {
        Self {
            head: Some(Vec::new()),
            decided: None,
            open_character: Vec::new(),
            valid: 0,
            invalid: 0,
            legacy: None,
        }
    }

    /// Whether no further bytes can change the result.
    pub(crate) fn is_decided(&self) -> bool {
        self.decided.is_some()
    }

    /// Looks at the next bytes.
    ///
    /// # Errors
    /// [`ImportError::Unsupported`] if they are not text.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        match &mut self.head {
            None => self.check(bytes),
            Some(head) => {
                head.extend_from_slice(bytes);
                if head.len() >= HEAD_BYTES {
                    self.judge_head()?;
                }
            }
        }
        Ok(())
    }

    /// The encoding, at the end of the text.
    ///
    /// # Errors
    /// [`ImportError::Unsupported`] if it is not text.
    pub(crate) fn finish(mut self) -> Result<TextEncoding, ImportError> {
        self.judge_head()?;
        if let Some(decided) = self.decided {
            return Ok(decided);
        }
        if !self.open_character.is_empty() {
            let open = std::mem::take(&mut self.open_character);
            self.invalid += 1;
            self.feed_legacy(&open);
        }
        match self.legacy {
            Some(legacy) if self.invalid > self.valid => Ok(TextEncoding::new(legacy.finish())),
            _ => Ok(TextEncoding::UTF_8),
        }
    }

    fn judge_head(&mut self) -> Result<(), ImportError> {
        let Some(head) = self.head.take() else { return Ok(()) };
        unsupported::reject_binary(&head)?;
        self.decided = marked(&head).or_else(|| utf_16_by_zeros(&head));
        if self.decided.is_none() {
            unsupported::reject_zero_bytes(&head)?;
        }
        self.check(&head);
        Ok(())
    }

    fn check(&mut self, bytes: &[u8]) {
        if self.decided.is_some()
            || (bytes.is_ascii() && self.open_character.is_empty() && self.legacy.is_none())
        {
            return;
        }
        let bytes = if self.open_character.is_empty() {
            Cow::Borrowed(bytes)
        } else {
            let mut joined = std::mem::take(&mut self.open_character);
            joined.extend_from_slice(bytes);
            Cow::Owned(joined)
        };
        let mut rest: &[u8] = &bytes;
        let mut looked_at = bytes.len();
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.valid += characters(text.as_bytes());
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    self.valid += characters(valid);
                    let Some(length) = error.error_len() else {
                        self.open_character = after.to_vec();
                        looked_at -= after.len();
                        break;
                    };
                    self.invalid += 1;
                    rest = after.get(length..).unwrap_or_default();
                }
            }
        }
        if self.invalid > 0 {
            self.feed_legacy(bytes.get(..looked_at).unwrap_or_default());
        }
    }

    fn feed_legacy(&mut self, bytes: &[u8]) {
        self.legacy.get_or_insert_with(|| Box::new(LegacyWords::new())).feed(bytes);
    }
}

/// The number of characters beyond ASCII in valid UTF-8.
fn characters(text: &[u8]) -> u64 {
    u64::try_from(text.iter().filter(|byte| **byte >= 0xc0).count()).unwrap_or_default()
}

/// The encoding that a byte order mark names.
fn marked(head: &[u8]) -> Option<TextEncoding> {
    if head.starts_with(b"\xef\xbb\xbf") {
        Some(TextEncoding::UTF_8)
    } else if head.starts_with(b"\xff\xfe") {
        Some(TextEncoding::UTF_16_LITTLE)
    } else if head.starts_with(b"\xfe\xff") {
        Some(TextEncoding::UTF_16_BIG)
    } else {
        None
    }
}

/// UTF-16 without a mark: delimiters, digits and line ends have a zero byte, always on the same side.
fn utf_16_by_zeros(head: &[u8]) -> Option<TextEncoding> {
    let (pairs, _) = head.as_chunks::<2>();
    let count = |is: &dyn Fn(&[u8; 2]) -> bool| pairs.iter().filter(|pair| is(pair)).count();
    let zeros = [count(&|pair| pair[0] == 0), count(&|pair| pair[1] == 0)];
    let feeds = count(&|pair| pair.contains(&b'\n'));
    // A tenth of a table's characters, in whatever script, is more than enough; hardly any is a zero itself.
    let is_side = |zeros: usize, others: usize, feed: [u8; 2]| {
        zeros * 10 > pairs.len()
            && others * 50 <= zeros
            && (feeds == 0 || count(&|pair| *pair == feed) * 2 > feeds)
    };
    if is_side(zeros[1], zeros[0], [b'\n', 0]) {
        Some(TextEncoding::UTF_16_LITTLE)
    } else if is_side(zeros[0], zeros[1], [0, b'\n']) {
        Some(TextEncoding::UTF_16_BIG)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::Encoding;
    use proptest::prelude::*;

    fn detected(bytes: &[u8], piece: usize) -> Result<String, String> {
        let mut detector = EncodingDetector::new();
        for piece in bytes.chunks(piece) {
            detector.feed(piece).map_err(|error| error.to_string())?;
        }
        detector.finish().map(|encoding| encoding.to_string()).map_err(|error| error.to_string())
    }

    fn encoded(text: &str, encoding: &str) -> Vec<u8> {
        match encoding {
            "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "UTF-16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            _ => {
                let (bytes, _, unmappable) = Encoding::for_label(encoding.as_bytes()).unwrap().encode(text);
                assert!(!unmappable, "{text}");
                bytes.into_owned()
            }
        }
    }

    const GERMAN: &str =
        "Kunde;Artikel;Preis\n1;Käse, gerieben;2,50 €\n2;Brötchen;0,40 €\n3;Weißwein;4,90 €\n";
    const RUSSIAN: &str = "Клиент;Товар;Цена\n1;Чай чёрный листовой;2,50\n2;Хлеб ржаной;0,40\n";
    const JAPANESE: &str = "顧客,商品,価格\n1,抹茶ラテ,250\n2,おにぎり鮭,140\n3,醤油ラーメン,900\n";
    const CHINESE: &str = "名稱,價格\n牛奶巧克力餅乾,3\n全麥麵包,4\n綠茶,5\n蘋果汁飲料,3\n一,2\n";
    const HUNGARIAN: &str = "név;ár\nTejföl;3\nGyümölcslé;2\nFűszerpaprika;3\nSzőlő;1\nTúró Rudi;2\n";
    const POLISH: &str =
        "klient;towar;cena\n1;Żółty ser wędzony;2,50\n2;Świeża bułka;0,40\n3;Mąka żytnia;3\n";

    #[test]
    fn texts_of_shops_are_detected_whatever_the_pieces() {
        for (text, encoding, shown) in [
            (GERMAN, "UTF-8", "UTF-8"),
            (GERMAN, "windows-1252", "Windows-1252"),
            ("id,name\n1,Käse\n", "windows-1252", "Windows-1252"),
            ("id,name,price\n1,Cup,£2.55\n2,Box,£1.00\n", "windows-1252", "Windows-1252"),
            ("id,name,price\n1,Cup,2.55 €\n", "windows-1252", "Windows-1252"),
            ("id,name\n1,Crème brûlée\n2,Piña\n3,Smørrebrød\n", "windows-1252", "Windows-1252"),
            (GERMAN, "UTF-16LE", "UTF-16 (little endian)"),
            (GERMAN, "UTF-16BE", "UTF-16 (big endian)"),
            ("a,b\n", "UTF-16LE", "UTF-16 (little endian)"),
            (RUSSIAN, "windows-1251", "Windows-1251"),
            (RUSSIAN, "KOI8-R", "KOI8-U"),
            (RUSSIAN, "UTF-16LE", "UTF-16 (little endian)"),
            (RUSSIAN, "UTF-8", "UTF-8"),
            (JAPANESE, "Shift_JIS", "Shift_JIS"),
            (JAPANESE, "EUC-JP", "EUC-JP"),
            (JAPANESE, "UTF-16BE", "UTF-16 (big endian)"),
            (JAPANESE, "UTF-8", "UTF-8"),
            (POLISH, "windows-1250", "Windows-1250"),
            (POLISH, "ISO-8859-2", "ISO-8859-2"),
            (HUNGARIAN, "windows-1250", "Windows-1250"),
            (CHINESE, "Big5", "Big5"),
            ("id,name\n1,Cup\n", "UTF-8", "UTF-8"),
            ("", "UTF-8", "UTF-8"),
        ] {
            let bytes = encoded(text, encoding);
            for piece in [1, 2, 3, 5, 4_096, 100_000] {
                assert_eq!(
                    detected(&bytes, piece).as_deref(),
                    Ok(shown),
                    "{encoding} in pieces of {piece}: {text}"
                );
            }
        }
    }

    #[test]
    fn the_first_umlaut_may_be_in_the_last_line() {
        let mut bytes = "1,Cup,2.50\n".repeat(50_000).into_bytes();
        bytes.extend_from_slice(&encoded("2,Käse,3.10\n", "windows-1252"));
        assert_eq!(detected(&bytes, 65_536).as_deref(), Ok("Windows-1252"));
        let mut bytes = encoded(&"1,Käse,2.50\n".repeat(50_000), "windows-1250");
        bytes.extend_from_slice(&encoded("2,Jajka świeże,3.10\n3,Żółty ser wędzony,4\n", "windows-1250"));
        assert_eq!(detected(&bytes, 65_536).as_deref(), Ok("Windows-1250"));
    }

    #[test]
    fn a_letter_or_sign_alone_is_a_western_one() {
        for text in [
            "Käse",
            "Öl",
            "Maïs",
            "más",
            "œuf",
            "Õ",
            "Ø",
            "naïve",
            "crêpe",
            "10 µm",
            "® Cup",
            "20 °C",
            "½ kg",
            "Cup™",
            "don’t",
            "“Cup”",
            "A–B",
            "£2.55",
            "2.55 €",
            "1\u{a0}234,56 €",
            "¥500",
            "São",
            "Jalapeño",
            "Weißwein",
        ] {
            for prices in ["", "2,Cup,£1.00\n3,Box,2,50\u{a0}€\n"] {
                let bytes = encoded(&format!("id,name,price\n1,{text},1\n{prices}"), "windows-1252");
                assert_eq!(detected(&bytes, 9).as_deref(), Ok("Windows-1252"), "{text}");
            }
        }
    }

    #[test]
    fn a_mark_decides() {
        for (mark, shown) in [
            (&b"\xef\xbb\xbf"[..], "UTF-8"),
            (b"\xff\xfe", "UTF-16 (little endian)"),
            (b"\xfe\xff", "UTF-16 (big endian)"),
        ] {
            let bytes = [mark, b"K\xe4se"].concat();
            assert_eq!(detected(&bytes, 1).as_deref(), Ok(shown));
        }
    }

    #[test]
    fn some_broken_lines_do_not_make_other_lines_garbled() {
        let mut bytes = "1,Käse\n2,Öl\n".repeat(3).into_bytes();
        bytes.extend_from_slice(b"3,K\xe4se\n4,K\xe4se\n");
        assert_eq!(detected(&bytes, 7).as_deref(), Ok("UTF-8"));
        let bytes = encoded("id,name\n1,Grüße\n2,Öl\n", "windows-1252");
        assert_eq!(detected(&[&bytes[..], "3,Käse\n".as_bytes()].concat(), 7).as_deref(), Ok("Windows-1252"));
    }

    #[test]
    fn old_excel_for_mac_writes_mac_roman() {
        let bytes = b"Kunde;Artikel\r1;K\x8ase\r2;Br\x9atchen\r3;M\x9fsli\r4;Wei\xa7wein\r";
        assert_eq!(detected(bytes, 6).as_deref(), Ok("Mac Roman"));
        let quoted = encoded("id,name\n1,“Käse” – don’t\n", "windows-1252");
        assert_eq!(detected(&quoted, 6).as_deref(), Ok("Windows-1252"));
    }

    #[test]
    fn bytes_that_are_no_text_are_rejected() {
        for bytes in [&b"\x7fELF\x02\x01\x01\0\0\0\x02\0\x3e\0"[..], b"\xff\xfe\0\0u\0\0\0", b"a,b\n1,\0\n"] {
            assert!(detected(bytes, 3).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_in_utf_8_stays_utf_8(text in "[^\0]{1,200}", piece in 1_usize..20) {
            prop_assert_eq!(detected(text.as_bytes(), piece), Ok("UTF-8".to_owned()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..5_000), piece in 1_usize..5_000) {
            let _ = detected(&bytes, piece);
        }

        #[test]
        fn pieces_do_not_matter(bytes in prop::collection::vec(1_u8.., 0..300), piece in 1_usize..20) {
            prop_assert_eq!(detected(&bytes, piece), detected(&bytes, 10_000));
        }
    }
}
