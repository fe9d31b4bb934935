use lambda_http::{
    Request, RequestExt,
    http::{Uri, uri::PathAndQuery},
    request::RequestContext,
};

/// `request` without the name of the API's stage in its path: behind a stage that is not `$default` API Gateway puts it there,
/// and routes know nothing of it.
pub(crate) fn strip(mut request: Request) -> Request {
    let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else { return request };
    let Some(stage) = context.stage.as_deref().filter(|stage| *stage != "$default") else { return request };
    if let Some(uri) = without(request.uri(), stage) {
        *request.uri_mut() = uri;
    }
    request
}

/// `None` where the path has no such first segment: a custom domain leaves it out.
fn without(uri: &Uri, stage: &str) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().strip_prefix('/')?.strip_prefix(stage)?;
    let rest = match rest.chars().next() {
        Some('/') => rest.to_owned(),
        None | Some('?') => format!("/{rest}"),
        Some(_) => return None,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(uri: &str) -> Option<String> {
        without(&uri.parse().expect("a URI"), "v1").map(|uri| uri.to_string())
    }

    #[test]
    fn the_stage_goes_and_the_rest_stays() {
        assert_eq!(stripped("https://h/v1/api/latency?a=%2F&b").as_deref(), Some("https://h/api/latency?a=%2F&b"));
        assert_eq!(stripped("https://h/v1?a=b").as_deref(), Some("https://h/?a=b"));
        assert_eq!(stripped("https://h/v1").as_deref(), Some("https://h/"));
    }

    #[test]
    fn a_path_without_it_stays_as_it_is() {
        assert_eq!(stripped("https://h/api/v1"), None);
        assert_eq!(stripped("https://h/v10/api"), None);
    }
}
