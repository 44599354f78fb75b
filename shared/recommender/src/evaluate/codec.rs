//! Evaluations as bytes, as they travel from blocks of users.

use super::{Evaluation, Methods};
use crate::bytes::{DecodeError, Reader, put_varint};
use crate::product::ProductIx;

const VERSION: u8 = 1;

impl Evaluation {
    /// Packs the sums; equal sums give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.put(&mut out);
        out
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.users);
        for mut sums in self.sums {
            sums.numbers().into_iter().for_each(|number| put_varint(out, *number));
        }
        put_varint(out, self.recommended.len() as u64);
        let mut before = 0;
        for product in &self.recommended {
            put_varint(out, u64::from(product.get() - before));
            before = product.get();
        }
    }

    /// Reads what [`Evaluation::encode`] wrote.
    ///
    /// # Errors
    /// The bytes are cut, of another version, or not an evaluation.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, "evaluation");
        reader.version(VERSION)?;
        let evaluation = Self::take(&mut reader)?;
        reader.end()?;
        Ok(evaluation)
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut evaluation = Self { users: reader.varint()?, ..Self::default() };
        for sums in &mut evaluation.sums {
            for number in sums.numbers() {
                *number = reader.varint()?;
            }
        }
        let mut product = 0u32;
        for at in 0..reader.length(1)? {
            let difference = reader.varint32()?;
            if at > 0 && difference == 0 {
                return Err(DecodeError::Invalid("recommended product"));
            }
            product = product.checked_add(difference).ok_or(DecodeError::Invalid("recommended product"))?;
            evaluation.recommended.insert(ProductIx::new(product));
        }
        Ok(evaluation)
    }
}

impl Methods<Evaluation> {
    /// Packs the sums of all methods; equal sums give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.as_ref().each(|evaluation| evaluation.put(&mut out));
        out
    }

    /// Reads what [`Methods::encode`] wrote.
    ///
    /// # Errors
    /// The bytes are cut, of another version, or not evaluations.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, "evaluation");
        reader.version(VERSION)?;
        let methods = Self {
            model: Evaluation::take(&mut reader)?,
            g_top_freq: Evaluation::take(&mut reader)?,
            p_top_freq: Evaluation::take(&mut reader)?,
            gp_top_freq: Evaluation::take(&mut reader)?,
        };
        reader.end()?;
        Ok(methods)
    }
}
