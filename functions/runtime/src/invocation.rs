use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use lambda_runtime::{
    LambdaInvocation,
    tower::{Layer, Service},
};
use tracing::{Instrument, info_span, instrument::Instrumented};

/// Adds to every line that is logged while an event is handled: the request's id, whether it is the process's first
/// (`cold_start`), and the trace's id.
#[derive(Debug, Clone, Copy, Default)]
pub struct InvocationLayer;

/// What [`InvocationLayer`] makes.
#[derive(Debug)]
pub struct InvocationService<S> {
    inner: S,
    is_cold: AtomicBool,
}

impl<S> Layer<S> for InvocationLayer {
    type Service = InvocationService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InvocationService { inner, is_cold: AtomicBool::new(true) }
    }
}

impl<S> Service<LambdaInvocation> for InvocationService<S>
where
    S: Service<LambdaInvocation, Response = (), Error = crate::Error>,
{
    type Response = ();
    type Error = crate::Error;
    type Future = Instrumented<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let span = info_span!(
            "invocation",
            request_id = invocation.context.request_id,
            cold_start = self.is_cold.swap(false, Ordering::Relaxed),
            trace_id = invocation.context.xray_trace_id,
        );
        let call = span.in_scope(|| self.inner.call(invocation));
        call.instrument(span)
    }
}
