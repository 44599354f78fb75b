//! Packed values of the model and history tables.

use std::io::Read;

use flate2::Compression;
use flate2::read::DeflateEncoder;
use nextbasket_domain::history::HISTORY_BASKETS;
use nextbasket_recommender::evaluate::{Evaluation, Methods};
use nextbasket_recommender::intermediate::{decode, encode};
use nextbasket_recommender::{
    Catalogue, Dataset, DecodeError, History, NeighbourRow, PairCounts, Priors, ProductIx, ProductRows,
    ScoreRequest, Scorer, ScratchBuffers, Totals, Window,
};
use nextbasket_tables::history_codec;

use crate::memory::within;

/// Packed values are at most an item of DynamoDB, or a result of a batch; unpacked they take a multiple of that.
const MULTIPLE: usize = 300;
const BASE: usize = 64 << 10;

/// The first byte chooses the format.
pub fn check(data: &[u8]) {
    let Some((&format, bytes)) = data.split_first() else { return };
    match format % 10 {
        0 => neighbours(bytes),
        1 => same(bytes, ProductRows::decode, ProductRows::encode, |rows| {
            for row in [&rows.next, &rows.together, &rows.similar] {
                bounds(row);
            }
        }),
        2 => same(bytes, Catalogue::decode, Catalogue::encode, |_| ()),
        3 => same(bytes, |bytes| decode::<Totals>("totals", bytes), encode, |_| ()),
        4 => same(bytes, PairCounts::decode, PairCounts::encode, |_| ()),
        5 => same(bytes, Dataset::decode, Dataset::encode, |_| ()),
        6 => same(bytes, |bytes| decode::<Evaluation>("evaluation", bytes), encode, |_| ()),
        7 => same(bytes, |bytes| decode::<Methods<Evaluation>>("evaluations", bytes), encode, |_| ()),
        8 => priors(bytes),
        _ => history(bytes),
    }
}

/// Checks that an accepted value survives packing and unpacking, the second time byte for byte.
fn same<T>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    encode: impl Fn(&T) -> Vec<u8>,
    hold: impl Fn(&T),
) {
    let Ok(value) = within(BASE + MULTIPLE * bytes.len(), || decode(bytes)) else { return };
    hold(&value);
    let packed = encode(&value);
    let again = decode(&packed).expect("what was packed is unpacked");
    assert_eq!(encode(&again), packed, "packed twice");
}

fn bounds(row: &NeighbourRow) {
    assert!(row.columns() >= 1);
    assert_eq!(row.iter().len(), row.len());
    for column in 0..row.columns() {
        assert_eq!(row.column(column).len(), row.len());
        assert!(row.column(column).iter().all(|value| value.is_finite() && *value >= 0.0), "{row:?}");
    }
}

fn neighbours(bytes: &[u8]) {
    same(bytes, NeighbourRow::decode, NeighbourRow::encode, |row| {
        bounds(row);
        let again = NeighbourRow::decode(&row.encode()).expect("what was packed is unpacked");
        assert_eq!((again.len(), again.columns()), (row.len(), row.columns()));
        assert!(
            again.iter().zip(row.iter()).all(|(a, b)| (a.product, a.evidence) == (b.product, b.evidence))
        );
        for column in 0..row.columns() {
            let top = row.column(column).iter().copied().fold(f32::MIN_POSITIVE, f32::max);
            for (a, b) in again.column(column).iter().zip(row.column(column)) {
                assert!((a - b).abs() <= top / 65_000.0, "{a} {b} of {top}");
            }
        }
    });
}

/// The bytes as they are, and as the content of a piece with correct checksums.
fn priors(bytes: &[u8]) {
    let Some((&products, payload)) = bytes.split_first() else { return };
    let mut row = None;
    for piece in [bytes.to_vec(), piece(payload, products & 0x7f)] {
        let limit = BASE + MULTIPLE * payload.len() + 2 * inflated(&piece);
        let Ok(priors) = within(limit, || Priors::decode(&[&piece])) else { continue };
        let pieces = priors.encode(usize::MAX / 32).expect("a piece without a limit");
        let again = Priors::decode(&pieces).expect("what was packed is unpacked");
        assert!(again == priors, "{priors:?}");
        // Divided into several pieces, it is the same.
        if let Ok(pieces) = priors.encode(400) {
            assert!(Priors::decode(&pieces).expect("all pieces") == priors);
        }
        answer(&priors, row.get_or_insert_with(|| NeighbourRow::decode(payload).unwrap_or_default()));
    }
}

/// No writer packs more than this into a piece, as [`Priors`] documents.
fn inflated(piece: &[u8]) -> usize {
    // Deflate compresses at most a thousand bytes into one.
    piece.len().saturating_mul(1_032).min(256 << 20)
}

/// The content of a piece of priors, after its length and checksum.
#[must_use]
pub fn unpacked(piece: &[u8]) -> Vec<u8> {
    let packed = (0..piece.len()).find_map(|start| {
        let mut content = Vec::new();
        let mut inflated = flate2::read::DeflateDecoder::new(&piece[start..]);
        // The beginning of the parameters.
        inflated.read_to_end(&mut content).is_ok_and(|_| content.get(2..4) == Some(b"{\"")).then_some(content)
    });
    packed.expect("a piece of priors")
}

fn piece(payload: &[u8], products: u8) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(payload);
    let mut piece = vec![1];
    piece.extend_from_slice(&crc.sum().to_le_bytes());
    piece.extend_from_slice(&[0, 1, 0, products]);
    let mut length = payload.len();
    while length > 0x7f {
        piece.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    piece.push(u8::try_from(length).unwrap());
    piece.extend_from_slice(&crc.sum().to_le_bytes());
    DeflateEncoder::new(payload, Compression::none()).read_to_end(&mut piece).expect("memory");
    piece
}

/// A model that was read gives an answer, whatever it contains, and its values are within their limits.
fn answer(priors: &Priors, row: &NeighbourRow) {
    for number in 0..u32::try_from(priors.len()).unwrap() + 1 {
        let product = ProductIx::new(number);
        for window in [Window::Day, Window::Week, Window::Month, Window::AllTime, Window::Scoring] {
            assert!(priors.popularity(product, window).is_finite());
            assert_eq!(priors.popular(window).len(), priors.len());
        }
        assert!(priors.repurchase_factor(product).is_finite() && priors.repeat_rate(product).is_finite());
        let _ = (priors.first_sale_ms(product), priors.last_sale_ms(product), priors.buyers(product));
        assert_eq!(priors.categories(product).count(), priors.category_codes(product).len());
        assert_eq!(priors.index_of(priors.id(product)).is_some(), number as usize != priors.len());
    }
    let ids: Vec<&str> = priors.catalogue().ids().collect();
    let history = History::new(priors, [(priors.now_ms(), ids.iter().copied()), (0, ids.iter().copied())]);
    let (scorer, mut scratch) = (Scorer::new(priors), ScratchBuffers::new());
    let anchors = scorer.anchors(&mut scratch, &history, 4);
    let cart: Vec<ProductIx> = history.products().take(2).collect();
    let request = ScoreRequest {
        history: &history,
        anchors: &anchors,
        next_row: &|_| Some(row),
        cart: &cart,
        together_row: &|_| Some(row),
        exclude: &[],
        filter: None,
        at_ms: priors.now_ms(),
        limit: 10,
    };
    let answer = scorer.score(&mut scratch, &request);
    assert!(answer.len() <= 10);
    for recommendation in answer {
        assert!(recommendation.product.get() < u32::try_from(priors.len()).unwrap());
        assert!(!recommendation.total.is_nan(), "{recommendation:?}");
    }
}

fn history(bytes: &[u8]) {
    let unpacked = within(BASE + MULTIPLE * bytes.len(), || history_codec::unpack(bytes));
    let Some(baskets) = unpacked else { return };
    assert!(baskets.len() <= HISTORY_BASKETS, "{} baskets", baskets.len());
    assert!(baskets.is_sorted_by(|a, b| a.purchased_at >= b.purchased_at), "newest first");
    for basket in &baskets {
        assert!(basket.products.is_sorted_by(|a, b| a < b), "sorted, each once: {basket:?}");
    }
    let packed = history_codec::pack(&baskets);
    assert!(packed.len() <= history_codec::MAX_BYTES);
    assert_eq!(history_codec::unpack(&packed), Some(baskets));
}
