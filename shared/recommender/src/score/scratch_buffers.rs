//! Memory that answers share, one after the other.

use crate::catalogue::ProductIx;

/// Working memory of a scorer: 48 bytes per product of the model. Keep one per thread and hand it to every answer.
#[derive(Debug, Default)]
pub struct ScratchBuffers {
    slots: Vec<ScratchSlot>,
    touched: Vec<ProductIx>,
    answer: u32,
    pub(super) candidates: Vec<Candidate>,
}

/// What is known of one product in one answer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ScratchSlot {
    /// Σ decay^lag over the baskets with it.
    pub(super) personal: f64,
    /// Σ anchor weight · transition.
    pub(super) next: f64,
    /// Σ conditional probability over the cart.
    pub(super) together: f64,
    pub(super) times: u32,
    pub(super) newest_lag: u32,
    pub(super) oldest_lag: u32,
    pub(super) excluded: bool,
    /// Place in the answer, from 1.
    pub(super) place: u32,
    answer: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) total: f64,
    pub(super) popularity: f32,
    pub(super) product: ProductIx,
}

impl ScratchBuffers {
    /// Empty; it grows to the model's size with the first answer.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn begin(&mut self, products: usize) {
        self.touched.clear();
        self.candidates.clear();
        self.answer = self.answer.wrapping_add(1);
        if self.slots.len() < products || self.answer == 0 {
            self.slots.clear();
            self.slots.resize(products, ScratchSlot::default());
            self.answer = 1;
        }
    }

    /// The product's slot, blank at the first touch; `None` for a number of another model.
    #[inline]
    pub(super) fn touch(&mut self, product: ProductIx) -> Option<&mut ScratchSlot> {
        let slot = self.slots.get_mut(product.at())?;
        if slot.answer != self.answer {
            *slot = ScratchSlot { answer: self.answer, ..ScratchSlot::default() };
            self.touched.push(product);
        }
        Some(slot)
    }

    /// The slot, if the product was touched in this answer.
    #[inline]
    pub(super) fn seen(&self, product: ProductIx) -> Option<&ScratchSlot> {
        self.slots.get(product.at()).filter(|slot| slot.answer == self.answer)
    }

    pub(super) fn touched(&self) -> impl Iterator<Item = (ProductIx, &ScratchSlot)> {
        self.touched.iter().filter_map(|&product| Some((product, self.slots.get(product.at())?)))
    }

    /// Takes the candidates out, to hold them while slots are written; give them back with [`Self::restore`].
    pub(super) fn take_candidates(&mut self) -> Vec<Candidate> {
        std::mem::take(&mut self.candidates)
    }

    pub(super) fn restore(&mut self, candidates: Vec<Candidate>) {
        self.candidates = candidates;
    }
}
