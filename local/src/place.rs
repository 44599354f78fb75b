//! Where a command works: through the server that has the folder open, or on a machine of its own.

use std::net::SocketAddr;
use std::path::Path;

use aws_sdk_dynamodb::Client;
use nextbasket_machine::dynamodb::sdk_config;
use nextbasket_machine::folder::{Server, running_server};
use nextbasket_tables::Tables;

use crate::Failure;
use crate::system::{Settings, System, table_names};

/// Where a command works.
pub enum Place {
    /// A server has the folder open; the command goes through it.
    Attached {
        /// That server.
        server: Server,
        /// Its tables.
        tables: Tables,
    },
    /// Nobody has it open; the command runs the system itself for as long as it takes.
    Own(Box<System>),
}

impl Place {
    /// Finds the server of the folder, or starts a system on it.
    ///
    /// # Errors
    /// [`Failure`] if the folder cannot be used.
    pub async fn open(data: &Path) -> Result<Self, Failure> {
        if let Some(server) = running_server(data)? {
            let client = Client::new(&sdk_config(&format!("http://{}", server.dynamodb)));
            return Ok(Self::Attached { tables: Tables::new(client, table_names()?), server });
        }
        let settings = Settings::on_any_port(Some(data.to_owned()));
        Ok(Self::Own(Box::new(System::start_without_mappings(settings).await?)))
    }

    /// The HTTP API's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Attached { server, .. } => server.http,
            Self::Own(system) => system.address(),
        }
    }

    /// The tables.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        match self {
            Self::Attached { tables, .. } => tables,
            Self::Own(system) => system.tables(),
        }
    }

    /// Waits, on a machine of the command's own, until all histories know all purchases, also those that an earlier
    /// command was killed over. A server sees to that itself. `delivered` is told how many changes have been followed.
    ///
    /// # Errors
    /// [`Failure`] if a stream cannot be read.
    pub async fn catch_up(&mut self, delivered: impl Fn(u64)) -> Result<(), Failure> {
        match self {
            Self::Attached { .. } => Ok(()),
            Self::Own(system) => {
                system.follow().await?;
                system.drain(delivered).await
            }
        }
    }

    /// Lets the machine, if it is the command's own, skip the wait for the disk at each write while `on`. What is
    /// written then survives a kill of the process, but not a power failure.
    ///
    /// # Errors
    /// [`Failure`] if the database refuses.
    pub fn bulk_loading(&self, on: bool) -> Result<(), Failure> {
        match self {
            Self::Attached { .. } => Ok(()),
            Self::Own(system) => system.machine().dynamodb().set_bulk_loading(on).map_err(Failure::other),
        }
    }

    /// Stops what the command started.
    ///
    /// # Errors
    /// [`Failure`] if the folder cannot be left in order.
    pub async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Attached { .. } => Ok(()),
            Self::Own(system) => system.stop().await,
        }
    }
}
