//! Several pieces of bytes in one.

use nextbasket_recommender::DecodeError;

/// Puts pieces one after the other, each behind its length.
pub(crate) fn join<B: AsRef<[u8]>>(pieces: impl IntoIterator<Item = B>) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        let piece = piece.as_ref();
        out.extend_from_slice(&(piece.len() as u64).to_le_bytes());
        out.extend_from_slice(piece);
    }
    out
}

/// The pieces that [`join`] put together.
pub(crate) fn split(mut bytes: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    const CUT: DecodeError = DecodeError::Truncated("pieces");
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or(CUT)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| CUT)?;
        let (piece, rest) = rest.split_at_checked(length).ok_or(CUT)?;
        pieces.push(piece);
        bytes = rest;
    }
    Ok(pieces)
}

/// As [`split`], of a known number of pieces.
pub(crate) fn split_into<const N: usize>(bytes: &[u8]) -> Result<[&[u8]; N], DecodeError> {
    split(bytes)?.try_into().map_err(|_| DecodeError::Invalid("number of pieces"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_and_cut_ones_are_errors() {
        let pieces = [b"ab".as_slice(), b"", b"cde"];
        let joined = join(pieces);
        assert_eq!(split(&joined), Ok(pieces.to_vec()));
        assert_eq!(split_into::<3>(&joined), Ok(pieces));
        assert_eq!(split_into::<2>(&joined), Err(DecodeError::Invalid("number of pieces")));
        let whole = [8 + 2, 8 + 2 + 8];
        for cut in (1..joined.len()).filter(|cut| !whole.contains(cut)) {
            assert_eq!(split(&joined[..cut]), Err(DecodeError::Truncated("pieces")), "{cut}");
        }
    }
}
