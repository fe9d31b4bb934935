//! What every store does, done by this one: off the threads that serve, as all of it waits for the disk.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::NaiveDate;

use super::{FileStore, Shared, append::day_of, disk::read_error, sidecar};
use crate::{
    record::{Environment, Table},
    store::{AppendReport, Batch, KeptRollup, Scope, Segment, Store, StoreError, StoreHealth},
};

#[async_trait]
impl Store for FileStore {
    async fn append(&self, batch: &Batch) -> AppendReport {
        let owned = batch.clone();
        let report = match self.blocking(move |shared| shared.append(&owned)).await {
            Ok(report) => report,
            Err(error) => {
                return batch.records.iter().map(|one| (one.environment.clone(), Err(error.clone()))).collect();
            }
        };
        if self.shared.is_house_due(batch.records.iter().map(day_of).max()) {
            let shared = Arc::clone(&self.shared);
            let work = tokio::task::spawn_blocking(move || shared.keep_house());
            if !self.shared.place.is_in_background {
                let _ = work.await;
            }
        }
        report
    }

    async fn segments(&self, scope: &Scope) -> Result<Vec<Segment>, StoreError> {
        let scope = scope.clone();
        self.blocking(move |shared| shared.segments(&scope)).await?
    }

    async fn parts(&self, segment: &Segment) -> Result<Vec<Segment>, StoreError> {
        let segment = segment.clone();
        self.blocking(move |shared| shared.parts(&segment)).await?
    }

    async fn read(&self, segment: &Segment) -> Result<Bytes, StoreError> {
        let segment = segment.clone();
        self.blocking(move |shared| shared.read(&segment)).await?
    }

    async fn take_decoded(&self) -> Vec<(Segment, Table)> {
        self.blocking(Shared::take_decoded).await.unwrap_or_default()
    }

    async fn load_rollup(&self, environment: &Environment, day: NaiveDate) -> Result<Option<KeptRollup>, StoreError> {
        let environment = environment.clone();
        let read = move |_: &_, folder: &Path| Shared::read_sidecar(&sidecar::rollup_path(folder, &environment, day));
        Ok(self.beside(read).await?.map(|csv| KeptRollup { csv, version: Arc::from("") }))
    }

    async fn rollup_environments(&self) -> Result<Vec<Environment>, StoreError> {
        self.beside(|_, folder| sidecar::rollup_environments(folder).map_err(|error| read_error(folder, &error))).await
    }

    async fn save_rollup(
        &self,
        environment: &Environment,
        day: NaiveDate,
        csv: Bytes,
        _replaces: Option<&str>,
    ) -> Result<(), StoreError> {
        let environment = environment.clone();
        let write = move |shared: &Shared, folder: &Path| {
            let path = sidecar::rollup_path(folder, &environment, day);
            shared.write_sidecar(&path, |path| sidecar::replace(path, &csv))
        };
        self.beside(write).await
    }

    async fn append_usage(
        &self,
        environment: &Environment,
        day: NaiveDate,
        header_line: &str,
        rows: Bytes,
    ) -> Result<(), StoreError> {
        let (environment, header_line) = (environment.clone(), header_line.to_owned());
        let write = move |shared: &Shared, folder: &Path| {
            let path = sidecar::usage_path(folder, &environment, day);
            shared.write_sidecar(&path, |path| sidecar::append(path, &header_line, &rows))
        };
        self.beside(write).await
    }

    async fn read_usage(&self, environment: &Environment, day: NaiveDate) -> Result<Option<Bytes>, StoreError> {
        let environment = environment.clone();
        let read = move |_: &_, folder: &Path| Shared::read_sidecar(&sidecar::usage_path(folder, &environment, day));
        self.beside(read).await
    }

    async fn save_catalog(&self, environment: &Environment, json: Bytes) -> Result<(), StoreError> {
        let environment = environment.clone();
        let write = move |shared: &Shared, folder: &Path| {
            let path = sidecar::catalog_path(folder, &environment);
            shared.write_sidecar(&path, |path| sidecar::replace(path, &json))
        };
        self.beside(write).await
    }

    async fn load_catalog(&self, environment: &Environment) -> Result<Option<Bytes>, StoreError> {
        let environment = environment.clone();
        let read = move |_: &_, folder: &Path| Shared::read_sidecar(&sidecar::catalog_path(folder, &environment));
        self.beside(read).await
    }

    async fn health(&self) -> StoreHealth {
        self.blocking(Shared::health).await.unwrap_or_else(|error| {
            let location = self.shared.given.display().to_string();
            StoreHealth { kind: "file", location, problems: vec![error.to_string()], ..StoreHealth::default() }
        })
    }
}
