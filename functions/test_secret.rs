//! For the tests of both functions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use llm_monitor_core::parameters::Reader;
use secrecy::SecretString;

/// A store of one secret, whatever its name; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Secret(Arc<Mutex<&'static str>>);

impl Secret {
    pub(crate) fn new(value: &'static str) -> Self {
        Self(Arc::new(Mutex::new(value)))
    }

    pub(crate) fn change(&self, value: &'static str) {
        *self.0.lock().expect("no panic") = value;
    }
}

#[async_trait::async_trait]
impl Reader for Secret {
    async fn read(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, SecretString>, String> {
        let value = *self.0.lock().expect("no panic");
        Ok(names.iter().map(|name| (name.clone(), value.into())).collect())
    }

    async fn place(&self) -> String {
        "the test".to_owned()
    }
}
