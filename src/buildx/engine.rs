//! The engine behind the current context, and the plugin in front of it.

use serde::Deserialize;

use super::docker::{DockerError, DockerOutput, OLDEST_BUILDX};

/// From `docker info` and `docker context inspect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    pub context: String,
    /// Where its engine listens: `unix:///var/run/docker.sock`.
    pub endpoint: String,
    /// Stays the same as long as the engine keeps its data.
    pub id: String,
    pub version: String,
    /// The version of the command line.
    pub client: String,
    /// `uname -r` where it runs.
    pub kernel: String,
    /// Whether it runs in a user namespace of its own.
    pub rootless: bool,
    pub location: Location,
    /// The buildx plugin's version.
    pub buildx: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On this kernel.
    Here,
    /// On another kernel, most likely, and why.
    Elsewhere(String),
}

/// What the engine's machine is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMachine {
    /// `uname -r`.
    pub kernel: String,
    pub name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    #[serde(default, rename = "ID")]
    id: String,
    #[serde(default)]
    server_version: String,
    #[serde(default)]
    kernel_version: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    product_license: String,
    #[serde(default)]
    security_options: Option<Vec<String>>,
    #[serde(default)]
    server_errors: Option<Vec<String>>,
    #[serde(rename = "ClientInfo")]
    client: Option<ClientInfo>,
    /// Podman's document has this field and none of the above.
    #[serde(default, rename = "version")]
    podman: Option<PodmanVersion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ClientInfo {
    #[serde(default)]
    version: String,
    #[serde(default)]
    context: String,
    #[serde(default)]
    plugins: Option<Vec<Plugin>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Plugin {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
    /// Why the docker command does not use it.
    #[serde(default)]
    err: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PodmanVersion {
    #[serde(default, rename = "Version")]
    number: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedContext {
    #[serde(default)]
    endpoints: std::collections::BTreeMap<String, Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    #[serde(default)]
    host: String,
}

impl Engine {
    /// From the output of `docker info --format '{{json .}}'`; `endpoint` returns where the engine of a context listens.
    pub fn read(
        info: &DockerOutput,
        endpoint: impl FnOnce(&str) -> Result<String, DockerError>,
        here: &LocalMachine,
    ) -> Result<Self, DockerError> {
        // Output means that docker got as far as the engine; without any, something else is wrong.
        if info.output.trim_ascii().is_empty() {
            info.success()?;
        }
        // Whatever docker says, it is the engine that does not answer.
        let down = |error| match error {
            DockerError::Failed { said, .. } => DockerError::Down(said),
            other => other,
        };
        let read = match serde_json::from_slice::<Info>(&info.output) {
            Ok(read) => read,
            // It was cut short, and docker's error says more than the parser's.
            Err(error) => {
                return Err(info.success().err().unwrap_or_else(|| info.unreadable(error)));
            }
        };
        if let Some(podman) = read.podman {
            return Err(DockerError::Podman(podman.number));
        }
        if let Some(error) = read.server_errors.unwrap_or_default().first() {
            return Err(down(DockerError::of_words(&info.command, error)));
        }
        // Since Docker 28, docker exits with 1 instead, and prints an empty document.
        info.success().map_err(down)?;
        let client = read.client.ok_or_else(|| {
            info.unreadable("nothing about the command line itself: it is older than Docker 19.03")
        })?;
        let endpoint = endpoint(&client.context)?;
        if is_of_podman(&read.server_version, &read.product_license) {
            return Err(DockerError::Compatible { endpoint, version: read.server_version });
        }
        let plugins = client.plugins.unwrap_or_default();
        let buildx = plugins
            .into_iter()
            .find(|plugin| plugin.name == "buildx")
            .ok_or(DockerError::NoPlugin)?;
        if !buildx.err.is_empty() {
            return Err(DockerError::BrokenPlugin(buildx.err));
        }
        // An unofficial build may have a commit as its version; reading its list will show.
        if version(&buildx.version).is_some_and(|version| version < OLDEST_BUILDX) {
            return Err(DockerError::OldPlugin(buildx.version));
        }
        let location = locate(&endpoint, &read.kernel_version, &read.name, here);
        let options = read.security_options.unwrap_or_default();
        Ok(Self {
            context: client.context,
            endpoint,
            id: read.id,
            version: read.server_version,
            client: client.version,
            kernel: read.kernel_version,
            rootless: options.iter().any(|option| option == "name=rootless"),
            location,
            buildx: buildx.version,
        })
    }
}

/// Reads `docker context inspect`: where the engine listens.
pub fn read_endpoint(context: &DockerOutput) -> Result<String, DockerError> {
    let contexts: Vec<InspectedContext> =
        serde_json::from_slice(context.success()?).map_err(|error| context.unreadable(error))?;
    contexts
        .into_iter()
        .find_map(|context| context.endpoints.into_iter().find(|(kind, _)| kind == "docker"))
        .map(|(_, endpoint)| endpoint.host)
        .ok_or_else(|| context.unreadable("a context without an engine's endpoint"))
}

/// Docker's engine has had versions of 17 and more since 2017; podman's service reports its own version, and its licence.
fn is_of_podman(server: &str, licence: &str) -> bool {
    licence == "Apache-2.0" && version(server).is_some_and(|(major, _)| major < 17)
}

/// The first two numbers of `v0.13.1`, `0.29.1+ds1`.
pub fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim_start_matches('v').split(['.', '-', '+', '~']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Two machines may run the same kernel release, so that alone proves nothing about an address.
fn locate(endpoint: &str, kernel: &str, name: &str, here: &LocalMachine) -> Location {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("unix", endpoint));
    if scheme == "ssh" {
        return Location::Elsewhere(format!("it is reached by {endpoint}"));
    }
    if kernel != here.kernel {
        return Location::Elsewhere(format!(
            "it runs on Linux {kernel}, and this is {}: another machine, or a virtual one",
            here.kernel
        ));
    }
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
    let is_loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    if scheme == "unix" || is_loopback || name == here.name {
        Location::Here
    } else {
        Location::Elsewhere(format!(
            "it is reached by {endpoint}, and its machine is called {name}"
        ))
    }
}
