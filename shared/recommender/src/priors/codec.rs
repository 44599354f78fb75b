//! Priors as a few pieces of bytes that fit into database items.
//!
//! A piece: format, crc of the whole, its place, how many pieces, its products, then its compressed columns with
//! their length and crc. The first one also carries the header and the names of the categories.

use super::column::Scale;
use super::{Categories, Priors, PriorsColumn, PriorsParts};
use crate::bytes::{ByteReader, DecodeError, put_signed, put_text, put_varint};
use crate::catalogue::Catalogue;
use crate::fixed_point::narrow;
use crate::id_codec::{self, DecodedIds};
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use std::io::Read;
use std::ops::Range;

const VERSION: u8 = 1;
/// No writer makes a larger piece before compression; a corrupt length cannot ask for more memory than this.
const MOST_BYTES: u64 = 256 << 20;

/// The pieces asked for are too small to hold even the header or one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the priors of one product need more than {0} bytes")]
pub struct PieceTooSmall(pub usize);

impl Priors {
    /// Packs everything into pieces of at most `most` bytes each.
    ///
    /// # Errors
    /// Header and category names, or a single product, take more than that.
    pub fn encode(&self, most: usize) -> Result<Vec<Vec<u8>>, PieceTooSmall> {
        let stamp = crc(&self.payload(0..self.len()));
        let mut pieces = Vec::new();
        let mut start = 0;
        let mut width = self.len();
        while start < self.len() || pieces.is_empty() {
            let end = (start + width).min(self.len());
            let body = self.body(start..end);
            // Room for the two numbers that are known at the end.
            if body.len() + 16 > most {
                if end - start <= 1 {
                    return Err(PieceTooSmall(most));
                }
                width = ((end - start) * most / (body.len() + 16) * 15 / 16).clamp(1, (end - start) - 1);
                continue;
            }
            pieces.push(body);
            start = end;
        }
        let count = pieces.len() as u64;
        Ok(pieces
            .into_iter()
            .zip(0u64..)
            .map(|(body, place)| {
                let mut piece = vec![VERSION];
                piece.extend_from_slice(&stamp.to_le_bytes());
                put_varint(&mut piece, place);
                put_varint(&mut piece, count);
                piece.extend(body);
                piece
            })
            .collect())
    }

    fn body(&self, range: Range<usize>) -> Vec<u8> {
        let payload = self.payload(range.clone());
        let mut body = Vec::new();
        put_varint(&mut body, range.start as u64);
        put_varint(&mut body, range.len() as u64);
        put_varint(&mut body, payload.len() as u64);
        body.extend_from_slice(&crc(&payload).to_le_bytes());
        // Reading from memory and writing to memory cannot fail; were it to, the crc would tell.
        let _ = DeflateEncoder::new(payload.as_slice(), Compression::new(6)).read_to_end(&mut body);
        body
    }

    fn payload(&self, range: Range<usize>) -> Vec<u8> {
        let mut out = Vec::new();
        if range.start == 0 {
            self.put_header(&mut out);
        }
        id_codec::put(self.parts.catalogue.ids().skip(range.start).take(range.len()), &mut out);
        for column in self.columns() {
            column.put(range.clone(), &mut out);
        }
        for counts in [&self.parts.product_baskets, &self.parts.buyers, &self.parts.last_sale] {
            counts
                .iter()
                .skip(range.start)
                .take(range.len())
                .for_each(|&n| put_varint(&mut out, u64::from(n)));
        }
        for (first, last) in
            self.parts.first_sale.iter().zip(&self.parts.last_sale).skip(range.start).take(range.len())
        {
            put_varint(&mut out, u64::from(first.saturating_sub(*last)));
        }
        for product in range {
            let codes = self.category_codes(crate::ProductIx::new(narrow(product)));
            put_varint(&mut out, codes.len() as u64);
            codes.iter().for_each(|&code| put_varint(&mut out, u64::from(code)));
        }
        out
    }

    fn put_header(&self, out: &mut Vec<u8>) {
        put_text(out, &serde_json::to_string(&self.parts.params).unwrap_or_default());
        put_signed(out, self.parts.now_ms);
        put_varint(out, self.parts.users);
        put_varint(out, self.parts.baskets);
        out.extend_from_slice(&self.parts.mean_repeat_rate.to_bits().to_le_bytes());
        for scale in self.columns().map(PriorsColumn::scale) {
            out.push(scale.bytes);
            out.extend_from_slice(&scale.low.to_bits().to_le_bytes());
            out.extend_from_slice(&scale.step.to_bits().to_le_bytes());
        }
        put_varint(out, self.len() as u64);
        put_varint(out, self.parts.categories.names.len() as u64);
        self.parts.categories.names.iter().for_each(|name| put_text(out, name));
    }

    fn columns(&self) -> [&PriorsColumn; 7] {
        let [day, week, month, all_time, scoring] = &self.parts.popularity;
        [day, week, month, all_time, scoring, &self.parts.factor, &self.parts.repeat_rate]
    }

    /// Puts the pieces of one [`Priors::encode`] together again, in any order.
    ///
    /// # Errors
    /// A piece is corrupt, missing, there twice, or of another model.
    pub fn decode<B: AsRef<[u8]>>(pieces: &[B]) -> Result<Self, DecodeError> {
        let mut read =
            pieces.iter().map(|piece| PriorsPiece::read(piece.as_ref())).collect::<Result<Vec<_>, _>>()?;
        read.sort_by_key(|piece| piece.place);
        let stamp = read.first().ok_or(DecodeError::Truncated("priors"))?.stamp;
        let whole = read.iter().zip(0u64..).all(|(piece, place)| {
            (piece.stamp, piece.place, piece.count) == (stamp, place, read.len() as u64)
        });
        if !whole {
            return Err(DecodeError::Invalid("set of pieces of priors"));
        }
        let mut decoding = None;
        for piece in &read {
            let payload = piece.inflate()?;
            let mut reader = ByteReader::new(&payload, "priors");
            let decoding = match &mut decoding {
                Some(decoding) => decoding,
                none => none.insert(Decoding::header(&mut reader)?),
            };
            decoding.products(piece, &mut reader)?;
            reader.end()?;
        }
        decoding.ok_or(DecodeError::Truncated("priors"))?.finish()
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[derive(Debug)]
struct PriorsPiece<'a> {
    stamp: u32,
    place: u64,
    count: u64,
    start: usize,
    products: usize,
    length: u64,
    crc: u32,
    packed: &'a [u8],
}

impl<'a> PriorsPiece<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes, "priors");
        reader.version(VERSION)?;
        let piece = Self {
            stamp: reader.u32()?,
            place: reader.varint()?,
            count: reader.varint()?,
            start: reader.varint32()? as usize,
            products: reader.varint32()? as usize,
            length: reader.varint()?,
            crc: reader.u32()?,
            packed: reader.take(reader.remaining())?,
        };
        if piece.length > MOST_BYTES { Err(DecodeError::Invalid("length of priors")) } else { Ok(piece) }
    }

    fn inflate(&self) -> Result<Vec<u8>, DecodeError> {
        let mut payload = Vec::new();
        DeflateDecoder::new(self.packed)
            .take(self.length + 1)
            .read_to_end(&mut payload)
            .map_err(|_| DecodeError::Invalid("compressed priors"))?;
        if payload.len() as u64 != self.length || crc(&payload) != self.crc {
            return Err(DecodeError::Invalid("checksum of priors"));
        }
        Ok(payload)
    }
}

#[derive(Debug)]
struct Decoding {
    parts: PriorsParts,
    ids: DecodedIds,
    products: usize,
}

impl Decoding {
    fn header(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let params: crate::Params =
            serde_json::from_str(reader.text()?).map_err(|_| DecodeError::Invalid("parameters in priors"))?;
        params.validate().map_err(|_| DecodeError::Invalid("parameters in priors"))?;
        let now_ms = reader.signed()?;
        let users = reader.varint()?;
        let baskets = reader.varint()?;
        let mean_repeat_rate = finite(reader)?;
        let mut column = || {
            let bytes = reader.byte()?;
            let scale = Scale { bytes, low: finite(reader)?, step: finite(reader)? };
            if matches!(bytes, 2 | 3) && scale.step > 0.0 {
                Ok(PriorsColumn::empty(scale, 0))
            } else {
                Err(DecodeError::Invalid("column"))
            }
        };
        let popularity = [column()?, column()?, column()?, column()?, column()?];
        let (factor, repeat_rate) = (column()?, column()?);
        let products = reader.varint32()? as usize;
        let names = (0..reader.length(1)?)
            .map(|_| reader.text().map(str::to_owned))
            .collect::<Result<Vec<_>, _>>()?;
        if !names.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::Invalid("order of categories"));
        }
        let parts = PriorsParts {
            params,
            now_ms,
            users,
            baskets,
            mean_repeat_rate,
            catalogue: Catalogue::new([]).ok_or(DecodeError::Invalid("priors"))?,
            popularity,
            factor,
            repeat_rate,
            product_baskets: Vec::new(),
            buyers: Vec::new(),
            first_sale: Vec::new(),
            last_sale: Vec::new(),
            categories: Categories { names, starts: vec![0], codes: Vec::new() },
        };
        Ok(Self { parts, ids: DecodedIds::default(), products })
    }

    fn products(&mut self, piece: &PriorsPiece<'_>, reader: &mut ByteReader<'_>) -> Result<(), DecodeError> {
        let length = piece.products;
        if piece.start != self.ids.len() || length > reader.remaining() {
            return Err(DecodeError::Invalid("place of products in priors"));
        }
        self.ids.take(reader, length)?;
        let parts = &mut self.parts;
        let [day, week, month, all_time, scoring] = &mut parts.popularity;
        for column in [day, week, month, all_time, scoring, &mut parts.factor, &mut parts.repeat_rate] {
            column.take(reader, length)?;
        }
        for counts in [&mut parts.product_baskets, &mut parts.buyers, &mut parts.last_sale] {
            counts.reserve(length);
            for _ in 0..length {
                counts.push(reader.varint32()?);
            }
        }
        for at in piece.start..piece.start + length {
            let last = parts.last_sale.get(at).copied().unwrap_or(0);
            parts.first_sale.push(last.saturating_add(reader.varint32()?));
        }
        for _ in 0..length {
            for _ in 0..reader.length(1)? {
                let code = reader.varint32()?;
                if code as usize >= parts.categories.names.len() {
                    return Err(DecodeError::Invalid("category in priors"));
                }
                parts.categories.codes.push(code);
            }
            parts.categories.starts.push(narrow(parts.categories.codes.len()));
        }
        Ok(())
    }

    fn finish(self) -> Result<Priors, DecodeError> {
        let Self { mut parts, ids, products } = self;
        if ids.len() != products {
            return Err(DecodeError::Invalid("number of products in priors"));
        }
        parts.catalogue = ids.finish(|ids| Catalogue::new(ids))?;
        Ok(Priors::assemble(parts))
    }
}

fn finite(reader: &mut ByteReader<'_>) -> Result<f64, DecodeError> {
    let value = f64::from_bits(reader.u64()?);
    if value.is_finite() { Ok(value) } else { Err(DecodeError::Invalid("number in priors")) }
}
