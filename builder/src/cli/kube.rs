//! `tinyroot kube`: a package's manifest for Kubernetes and podman.

use std::path::PathBuf;

use super::{Context, Failure, finish_json, print, signers::Signers, verify::signed_file};
use crate::{
    artifact,
    error::Hint as _,
    kube::{self, Kind, KubeError, Wish},
};

/// Print a manifest that runs a package's grain on Kubernetes or podman
///
/// The root is read-only, the grain has a volume of its own for /var, an ordinary user, no capabilities and no
/// network. Its page is reached by `kubectl port-forward`, or by a proxy that you add to the pod. It is YAML, with
/// --json a list of the same objects, which kubectl takes too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot convert cgit.spk cgit.oci.tar && podman load -i cgit.oci.tar\n  \
    tinyroot kube cgit.spk | podman kube play --network none -\n  \
    tinyroot kube cgit.spk --grain docs --kind statefulset --image registry.example.org/cgit:1 | kubectl apply -f -")]
pub struct Args {
    /// The package; - reads it from standard input, docker://HOST/NAME:TAG from a registry
    #[arg(value_name = "ARTIFACT")]
    artifact: PathBuf,
    /// The kind of object that runs the grain
    #[arg(long, value_enum, default_value_t = Kind::Pod)]
    kind: Kind,
    /// The grain's name
    #[arg(long, value_name = "NAME", default_value = "1")]
    grain: String,
    /// Where engines find the image [default: the name that `convert` gives it]
    #[arg(long, value_name = "REF")]
    image: Option<String>,
    /// The size of the grain's volume
    #[arg(long, value_name = "QUANTITY", default_value = "1Gi")]
    volume: String,
    /// The limit of the grain's memory [default: the recipe's, else 512Mi]
    #[arg(long, value_name = "QUANTITY")]
    memory: Option<String>,
    /// The limit of processors, such as 0.5 or 500m [default: the recipe's, else none]
    #[arg(long, value_name = "NUMBER")]
    cpu: Option<String>,
    #[command(flatten)]
    signers: Signers,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let artifact = signed_file(&args.artifact, &args.signers, context, artifact::open)?;
    let wish = Wish {
        kind: args.kind,
        grain: args.grain.clone(),
        image: args.image.clone(),
        volume: args.volume.clone(),
        memory: args.memory.clone(),
        cpu: args.cpu.clone(),
    };
    let manifest = kube::manifest(&artifact, &wish, &*context.reading_store()?);
    let manifest = manifest.map_err(|error| match error {
        KubeError::Enclosed(_) => Failure::from(error),
        wrong => Failure::wrong_value(&wrong.to_string(), &wrong.hint().unwrap_or_default()),
    })?;
    if context.global.json {
        finish_json(&manifest.json());
        return Ok(());
    }
    print(&manifest.yaml())
}
