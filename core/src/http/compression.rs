//! Answers packed for the way: gzip, or brotli where it is compiled in (feature `brotli`), as the client takes it.

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
