//! Memory that answers share, one after the other.

use crate::catalogue::ProductIx;
use crate::fixed_point::narrow;
use crate::ranker::Places;

/// Working memory of a scorer: 48 bytes per product of the model. Keep one per thread and hand it to every answer.
#[derive(Debug, Default)]
pub struct ScratchBuffers {
    slots: Vec<ScratchSlot>,
    touched: Vec<ProductIx>,
    answer: u32,
    pub(super) candidates: Vec<Candidate>,
    features: Vec<f32>,
}

/// What is known of one product in one answer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ScratchSlot {
    /// Σ decay^lag over the baskets with it.
    pub(super) personal: f64,
    /// Σ anchor weight · transition.
    pub(super) next: f64,
    /// The largest cosine to a product of the cart.
    pub(super) together: f64,
    pub(super) times: u32,
    pub(super) newest_lag: u32,
    pub(super) oldest_lag: u32,
    pub(super) excluded: bool,
    /// Place among the candidates or in the answer, from 1.
    pub(super) place: u32,
    /// Place among the anchors, from 1.
    pub(super) anchor: u32,
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

    /// Takes the memory for features out, empty; give it back with [`Self::restore_features`].
    pub(super) fn take_features(&mut self) -> Vec<f32> {
        let mut features = std::mem::take(&mut self.features);
        features.clear();
        features
    }

    pub(super) fn restore_features(&mut self, features: Vec<f32>) {
        self.features = features;
    }

    pub(super) fn restore(&mut self, candidates: Vec<Candidate>) {
        self.candidates = candidates;
    }
}

impl Places for ScratchBuffers {
    fn candidate(&self, product: ProductIx) -> u32 {
        self.seen(product).map_or(0, |slot| slot.place)
    }

    fn anchor(&self, product: ProductIx) -> u32 {
        self.seen(product).map_or(0, |slot| slot.anchor)
    }

    fn bought_products(&self) -> u32 {
        narrow(self.touched().filter(|(_, slot)| slot.times > 0).count())
    }
}
