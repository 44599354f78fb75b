//! Where a caller gets random bits from.

use std::fmt;
use std::sync::Arc;

/// The system's randomness when it runs, a seeded sequence in tests.
#[derive(Clone)]
pub struct Random(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Random {
    /// The operating system's.
    ///
    /// # Errors
    /// If the system has none to give, told now rather than at the first draw.
    pub fn system() -> Result<Self, getrandom::Error> {
        getrandom::u64()?;
        // Once it has given some it does not fail; were it to, a draw would only be less random.
        Ok(Self(Arc::new(|| getrandom::u64().unwrap_or_default())))
    }

    /// A sequence of the caller's own.
    pub fn new(draw: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(draw))
    }

    #[must_use]
    pub fn draw(&self) -> u64 {
        (self.0)()
    }

    /// The bytes of a key.
    #[must_use]
    pub fn draw_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        for part in key.chunks_exact_mut(8) {
            part.copy_from_slice(&self.draw().to_le_bytes());
        }
        key
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}
