//! Azure OpenAI: OpenAI's chat completions with Azure's path, version and key header.
//! <https://learn.microsoft.com/azure/ai-services/openai/reference>

use http::HeaderName;

use super::{
    Adaptation, Ask, Framing, HttpRequest, Quirks, Reader, Refused, Unsendable, Variables, Wire,
    openai::{self, ChatReader, ChatRequest},
    post, secret_header,
};

/// The newest version of the data-plane API that is not a preview.
pub const DEFAULT_API_VERSION: &str = "2024-10-21";

/// The format's entry in the table of providers. A model's name is its deployment's.
#[derive(Debug)]
pub struct Azure;

impl Wire for Azure {
    fn variables(&self) -> Variables {
        Variables {
            key: Some("AZURE_OPENAI_API_KEY"),
            base_url: &["AZURE_OPENAI_ENDPOINT"],
            default_base_url: None,
            api_version: Some("AZURE_OPENAI_API_VERSION"),
        }
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn request(&self, ask: &Ask<'_>) -> Result<HttpRequest, Unsendable> {
        let segments = ["openai", "deployments", ask.model, "chat", "completions"];
        let mut request = post(ask.access, &segments, &ChatRequest::new(ask))?;
        let version = ask.access.api_version.as_deref().unwrap_or(DEFAULT_API_VERSION);
        request.url.query_pairs_mut().append_pair("api-version", version);
        if let Some(key) = &ask.access.api_key {
            secret_header(&mut request.headers, HeaderName::from_static("api-key"), "", key)?;
        }
        Ok(request)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<ChatReader>::default()
    }

    fn adapt(&self, refused: &Refused<'_>, quirks: Quirks) -> Option<Adaptation> {
        openai::adapt(refused, quirks)
    }
}
