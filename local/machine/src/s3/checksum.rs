//! The checksums of S3: which one a request gives or asks for, and how one is reckoned.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::dto;
use s3s::{S3ErrorCode, S3Result};
use serde::{Deserialize, Serialize};

use super::error::refused;

/// How a checksum is reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// What a checksum is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChecksumKind {
    pub(super) algorithm: Algorithm,
    /// Of the checksums of the parts, and not of the bytes.
    pub(super) composite: bool,
}

/// A checksum: base64, and for a composite one `-` and the number of parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksum {
    pub(super) kind: ChecksumKind,
    pub(super) value: String,
}

/// The five fields of a request, as [`Given`] takes them.
macro_rules! given {
    ($input:expr) => {
        $crate::s3::checksum::Given([
            $input.checksum_crc32.take(),
            $input.checksum_crc32c.take(),
            $input.checksum_crc64nvme.take(),
            $input.checksum_sha1.take(),
            $input.checksum_sha256.take(),
        ])
    };
}

/// The one of the five fields that is for an algorithm.
macro_rules! field {
    ($holder:expr, $algorithm:expr) => {
        match $algorithm {
            $crate::s3::checksum::Algorithm::Crc32 => &mut $holder.checksum_crc32,
            $crate::s3::checksum::Algorithm::Crc32c => &mut $holder.checksum_crc32c,
            $crate::s3::checksum::Algorithm::Crc64Nvme => &mut $holder.checksum_crc64nvme,
            $crate::s3::checksum::Algorithm::Sha1 => &mut $holder.checksum_sha1,
            $crate::s3::checksum::Algorithm::Sha256 => &mut $holder.checksum_sha256,
        }
    };
}

/// Puts a checksum into the right one of the five fields of an answer.
macro_rules! tell {
    ($output:expr, $checksum:expr) => {
        *$crate::s3::checksum::field!($output, $checksum.kind.algorithm) = Some($checksum.value.clone())
    };
}

pub(super) use {field, given, tell};

/// The checksums that a request gives, in the order of [`ALL`].
pub(super) struct Given(pub(super) [Option<String>; 5]);

const ALL: [Algorithm; 5] =
    [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

impl Given {
    /// The one that is given, if one is.
    pub(super) fn single(self) -> S3Result<Option<(Algorithm, String)>> {
        let mut given =
            ALL.into_iter().zip(self.0).filter_map(|(algorithm, value)| Some((algorithm, value?)));
        match (given.next(), given.next()) {
            (one, None) => Ok(one),
            _ => Err(refused(S3ErrorCode::InvalidRequest, "a request can give one checksum, not several")),
        }
    }
}

impl Algorithm {
    /// By the name that requests use, such as `CRC32`.
    pub(super) fn named(name: &dto::ChecksumAlgorithm) -> S3Result<Self> {
        ALL.into_iter().find(|algorithm| algorithm.name() == name.as_str()).ok_or_else(|| {
            refused(S3ErrorCode::NotImplemented, format!("the checksum {} is not known here", name.as_str()))
        })
    }

    /// The one that comes after the body, by the names in `x-amz-trailer`.
    pub(super) fn announced(headers: &HeaderMap) -> Option<Self> {
        let names = headers.get("x-amz-trailer")?.to_str().ok()?;
        let announces = |algorithm: &Algorithm| {
            names.split(',').any(|name| name.trim().eq_ignore_ascii_case(&algorithm.header()))
        };
        ALL.into_iter().find(announces)
    }

    fn name(self) -> &'static str {
        match self {
            Algorithm::Crc32 => dto::ChecksumAlgorithm::CRC32,
            Algorithm::Crc32c => dto::ChecksumAlgorithm::CRC32C,
            Algorithm::Crc64Nvme => dto::ChecksumAlgorithm::CRC64NVME,
            Algorithm::Sha1 => dto::ChecksumAlgorithm::SHA1,
            Algorithm::Sha256 => dto::ChecksumAlgorithm::SHA256,
        }
    }

    /// The header, or trailer, that carries it.
    pub(super) fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name().to_ascii_lowercase())
    }

    pub(super) fn dto(self) -> dto::ChecksumAlgorithm {
        dto::ChecksumAlgorithm::from_static(self.name())
    }

    pub(super) fn hasher(self) -> Hasher {
        let mut hasher = ChecksumHasher::default();
        match self {
            Algorithm::Crc32 => hasher.crc32 = Some(Default::default()),
            Algorithm::Crc32c => hasher.crc32c = Some(Default::default()),
            Algorithm::Crc64Nvme => hasher.crc64nvme = Some(Default::default()),
            Algorithm::Sha1 => hasher.sha1 = Some(Default::default()),
            Algorithm::Sha256 => hasher.sha256 = Some(Default::default()),
        }
        Hasher { algorithm: self, hasher }
    }
}

impl ChecksumKind {
    pub(super) fn whole(algorithm: Algorithm) -> Self {
        ChecksumKind { algorithm, composite: false }
    }

    /// Of a multipart upload: the sums are composite unless asked otherwise, CRC-64 never is.
    pub(super) fn of_upload(
        algorithm: Option<&dto::ChecksumAlgorithm>,
        kind: Option<&dto::ChecksumType>,
    ) -> S3Result<Option<Self>> {
        let Some(algorithm) = algorithm.map(Algorithm::named).transpose()? else {
            return match kind {
                None => Ok(None),
                Some(_) => Err(refused(S3ErrorCode::InvalidRequest, "a checksum's type needs its algorithm")),
            };
        };
        let composite = match kind.map(dto::ChecksumType::as_str) {
            None => algorithm != Algorithm::Crc64Nvme,
            Some(dto::ChecksumType::COMPOSITE) => true,
            Some(_) => false,
        };
        let possible = match algorithm {
            Algorithm::Crc32 | Algorithm::Crc32c => true,
            Algorithm::Crc64Nvme => !composite,
            Algorithm::Sha1 | Algorithm::Sha256 => composite,
        };
        if possible {
            return Ok(Some(ChecksumKind { algorithm, composite }));
        }
        Err(refused(
            S3ErrorCode::InvalidRequest,
            format!("{} cannot be of the type that is asked for", algorithm.name()),
        ))
    }

    pub(super) fn dto(self) -> dto::ChecksumType {
        dto::ChecksumType::from_static(if self.composite {
            dto::ChecksumType::COMPOSITE
        } else {
            dto::ChecksumType::FULL_OBJECT
        })
    }
}

impl Checksum {
    /// The checksum of the parts' checksums.
    pub(super) fn composite<'a>(
        algorithm: Algorithm,
        parts: impl IntoIterator<Item = &'a Checksum>,
    ) -> S3Result<Self> {
        let (mut hasher, mut count) = (algorithm.hasher(), 0);
        for part in parts {
            let bytes = STANDARD.decode(&part.value).map_err(super::error::broken)?;
            hasher.update(&bytes);
            count += 1;
        }
        let Checksum { value, .. } = hasher.finish();
        Ok(Checksum { kind: ChecksumKind { algorithm, composite: true }, value: format!("{value}-{count}") })
    }

    /// Whether a request means this one. It may leave the number of parts out.
    pub(super) fn is(&self, algorithm: Algorithm, value: &str) -> bool {
        let bare = self.value.split_once('-').map_or(self.value.as_str(), |(bare, _)| bare);
        self.kind.algorithm == algorithm && (value == self.value || value == bare)
    }
}

/// A checksum under way.
pub(super) struct Hasher {
    algorithm: Algorithm,
    hasher: ChecksumHasher,
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The checksum of all bytes.
    pub(super) fn finish(self) -> Checksum {
        let mut sums = self.hasher.finalize();
        let value = field!(sums, self.algorithm).take();
        Checksum { kind: ChecksumKind::whole(self.algorithm), value: value.unwrap_or_default() }
    }
}
