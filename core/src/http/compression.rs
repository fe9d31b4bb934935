//! Answers packed for the way: gzip, or brotli where it is compiled in (feature `brotli`), as the client takes it.

use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use tower_http::compression::{
    CompressionLayer,
    predicate::{And, NotForContentType, Predicate, SizeAbove},
};

/// Smaller answers fit in one packet as they are.
const WORTH_PACKING_BYTES: u64 = 1024;

type Worthwhile = And<And<SizeAbove, NotForContentType>, NotForContentType>;

/// Packs all that is large enough and not packed already.
pub(super) fn layer() -> CompressionLayer<Worthwhile> {
    let worthwhile =
        SizeAbove::new(WORTH_PACKING_BYTES).and(NotForContentType::IMAGES).and(NotForContentType::const_new("font/"));
    CompressionLayer::new().compress_when(worthwhile)
}

/// For answers of any length: by gzip where the client takes it, which needs a quarter of a megabyte; brotli takes 16.
///
/// Not of errors, whose text is put in by the layers around it.
pub(super) fn of_streams() -> CompressionLayer<impl Predicate> {
    let is_whole = |status: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| status.is_success();
    CompressionLayer::new().no_br().compress_when(is_whole)
}
