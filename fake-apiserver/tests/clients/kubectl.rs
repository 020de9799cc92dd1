//! kubectl, every version of it that is on the PATH, command by command.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;

use crate::program::{Server, on_path, run};

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { app: web } }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: app, image: 'nginx:1', ports: [{ containerPort: 80 }] }] }
";

/// One kubectl and a cluster of its own, with two pods of `deployment/web` that are ready.
struct Kubectl {
    program: PathBuf,
    server: Server,
}

impl Kubectl {
    /// Words separated by spaces; `'…'` keeps them together.
    fn command(&self, line: &str) -> std::process::Command {
        let mut command = self.server.command(&self.program);
        for (index, piece) in line.split('\'').enumerate() {
            if index % 2 == 1 {
                command.arg(piece);
            } else {
                command.args(piece.split_whitespace());
            }
        }
        command
    }

    #[track_caller]
    fn ends(&self, line: &str, stdin: &str, code: i32) -> (String, String) {
        let ended = run(self.command(line), stdin);
        assert_eq!(ended.code, Some(code), "{} {line}\n{}\n{}", self.program.display(), ended.out, ended.err);
        (ended.out, ended.err)
    }

    /// What a command prints that succeeds.
    #[track_caller]
    fn ok(&self, line: &str) -> String {
        self.ends(line, "", 0).0
    }

    /// A command that succeeds and prints this somewhere.
    #[track_caller]
    fn says(&self, line: &str, wanted: &str) {
        let printed = self.ok(line);
        assert!(printed.contains(wanted), "{} {line}\nwanted {wanted:?}\n{printed}", self.program.display());
    }

    /// A command that fails and says why.
    #[track_caller]
    fn refuses(&self, line: &str, wanted: &str) {
        let (_, said) = self.ends(line, "", 1);
        assert!(said.contains(wanted), "{} {line}\nwanted {wanted:?}\n{said}", self.program.display());
    }

    /// A pod of `deployment/web`.
    fn pod(&self) -> String {
        self.ok("get pods -l app=web --field-selector=status.phase=Running -o 'jsonpath={.items[0].metadata.name}'")
    }
}

/// Runs a test with every kubectl.
fn with_each(test: impl Fn(&Kubectl)) {
    for program in on_path("kubectl") {
        let kubectl = Kubectl { program, server: Server::start() };
        kubectl.server.file("web.yaml", WEB);
        kubectl.ok("apply -f web.yaml");
        kubectl.says("rollout status deployment/web --timeout=30s", "successfully rolled out");
        test(&kubectl);
    }
}

macro_rules! kubectl_tests {
    ($($(#[$note:meta])* $name:ident($k:ident) $body:block)*) => {
        $(#[test]
        #[ignore = "needs kubectl"]
        $(#[$note])*
        fn $name() {
            with_each(|$k| $body);
        })*
    };
}

kubectl_tests! {
    apply_diff_wait_and_delete(k) {
        k.says("apply -f web.yaml", "deployment.apps/web unchanged");
        k.ok("diff -f web.yaml");
        k.server.file("new.yaml", &WEB.replace("nginx:1", "nginx:2"));
        let (difference, _) = k.ends("diff -f new.yaml", "", 1);
        assert!(difference.contains("\n-      - image: nginx:1\n+      - image: nginx:2\n"), "{difference}");
        k.says("apply -f new.yaml --dry-run=server", "configured (server dry run)");
        k.says("apply --server-side --force-conflicts -f new.yaml", "deployment.apps/web serverside-applied");
        k.says("wait --for=condition=Available deployment/web --timeout=30s", "condition met");
        k.refuses("wait --for=condition=Never deployment/web --timeout=1s", "timed out waiting for the condition");
        k.says("delete -f web.yaml", "deleted");
        k.refuses("get deployment web", "deployments.apps \"web\" not found");
    }

    rollout(k) {
        k.says("set image deployment/web app=nginx:2", "image updated");
        k.ok("rollout status deployment/web --timeout=30s");
        let history = k.ok("rollout history deployment/web");
        assert_eq!(history.lines().filter(|line| line.contains("<none>")).count(), 2, "{history}");
        k.says("rollout history deployment/web --revision=2", "nginx:2");
        k.says("rollout undo deployment/web", "rolled back");
        k.ok("rollout status deployment/web --timeout=30s");
        assert_eq!(k.ok("get deployment web -o 'jsonpath={.spec.template.spec.containers[0].image}'"), "nginx:1");
        k.says("rollout restart deployment/web", "restarted");
        k.says("rollout status deployment/web --timeout=30s", "successfully rolled out");
        k.says("rollout pause deployment/web", "paused");
        k.says("rollout resume deployment/web", "resumed");
    }

    scale_and_autoscale(k) {
        k.says("scale deployment/web --replicas=4", "scaled");
        k.ok("rollout status deployment/web --timeout=30s");
        k.says("get deployment web", "4/4");
        k.refuses("scale deployment/web --current-replicas=2 --replicas=3", "Expected replicas to be 2, was 4");
        k.says("autoscale deployment web --min=1 --max=5 --cpu-percent=50", "autoscaled");
        k.says("get hpa", "Deployment/web");
    }

    get_watches(k) {
        let mut watching = k.command("get pods -w");
        let mut process = watching.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let pod = k.pod();
        k.says(&format!("delete pod {pod}"), "deleted");
        let gone = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with(&pod) && line.contains("Terminating")));
        assert!(gone.is_some());
        process.kill().unwrap();
        process.wait().unwrap();
    }

    describe(k) {
        let pod = k.pod();
        let described = k.ok(&format!("describe pod {pod}"));
        for wanted in ["Controlled By:  ReplicaSet/web-", "Started:      ", "Successfully assigned default/", "Ready                       "] {
            assert!(described.contains(wanted.trim_end()), "{wanted}\n{described}");
        }
        k.says("describe deployment web", "2 desired | 2 updated | 2 total | 2 available | 0 unavailable");
        k.says("describe node node-1", "KubeletReady");
        k.says("describe namespace default", "Status:       Active");
    }

    logs(k) {
        k.ok("run count --image=busybox --restart=Never --command -- sh -c 'for i in 1 2 3; do echo line $i; sleep 1; done'");
        k.ok("wait --for=condition=Ready pod/count --timeout=30s");
        assert_eq!(k.ok("logs -f count"), "line 1\nline 2\nline 3\n");
        assert_eq!(k.ok("logs --tail=1 count"), "line 3\n");
        k.refuses("logs count -c absent", "container absent is not valid for pod count");
        k.refuses("logs absent", "pods \"absent\" not found");
    }

    exec(k) {
        let pod = k.pod();
        assert_eq!(k.ends(&format!("exec {pod} -- sh -c 'echo out; echo err >&2; exit 3'"), "", 3).0, "out\n");
        assert_eq!(k.ends(&format!("exec -i {pod} -- cat"), "through the pipe", 0).0, "through the pipe");
        assert_eq!(k.ends(&format!("exec -i {pod} -- sh"), "echo a\necho b\n", 0).0, "a\nb\n");
        k.refuses(&format!("exec {pod} -- absent"), "executable file not found in $PATH");
    }

    port_forward(k) {
        let mut forwarding = k.command(&format!("port-forward {} :80", k.pod()));
        let mut process = forwarding.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let port: u16 = line.split("127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        }
        process.kill().unwrap();
        process.wait().unwrap();
    }

    run_and_attach(k) {
        let once = k.ok("run once --image=busybox --restart=Never --rm -i --command -- sh -c 'sleep 2; echo said'");
        assert!(once.contains("said"), "{once}");
        let (typed, _) = k.ends("run shell --image=busybox --restart=Never --rm -i --command -- sh", "echo $((40+2)); exit\n", 0);
        assert!(typed.contains("42"), "{typed}");
        let (typed, _) = k.ends("run end --image=busybox --restart=Never --rm -i --command -- sh", "echo $((40+3))\n", 0);
        assert!(typed.contains("43"), "the shell ends with its input: {typed}");
        let (failed, _) = k.ends("run bad --image=busybox --restart=Never -i --command -- sh", "exit 5\n", 5);
        assert!(!failed.contains("deleted"), "{failed}");
        k.says("get pod bad", "Error");
    }

    drain_asks_the_budget(k) {
        k.ok("create pdb web --selector=app=web --min-available=2");
        let node = k.ok(&format!("get pod {} -o 'jsonpath={{.spec.nodeName}}'", k.pod()));
        k.refuses(&format!("drain {node} --ignore-daemonsets --timeout=2s"), "violate the pod's disruption budget");
        k.ok("scale deployment/web --replicas=4");
        k.ok("rollout status deployment/web --timeout=30s");
        k.says(&format!("drain {node} --ignore-daemonsets --timeout=50s"), "evicted");
        k.says(&format!("get node {node}"), "Ready,SchedulingDisabled");
        assert!(!k.ok("get pods -o wide").contains(&format!(" {node} ")));
        k.says(&format!("uncordon {node}"), "uncordoned");
    }

    nodes(k) {
        k.says("taint nodes node-2 dedicated=x:NoSchedule", "node/node-2 tainted");
        k.says("taint nodes node-2 dedicated-", "node/node-2 untainted");
        k.says("cordon node-2", "node/node-2 cordoned");
        k.says("uncordon node-2", "node/node-2 uncordoned");
        k.refuses("top nodes", "Metrics API not available");
    }

    auth(k) {
        assert_eq!(k.ok("auth can-i create pods"), "yes\n");
        assert_eq!(k.ends("auth can-i create pods --as=someone", "", 1).0, "no\n");
        k.ok("create role reader --verb=get --resource=pods");
        k.ok("create rolebinding reader --role=reader --user=someone");
        assert_eq!(k.ok("auth can-i get pods --as=someone"), "yes\n");
        k.refuses("get secrets --as=someone", "secrets is forbidden: User \"someone\" cannot list resource \"secrets\"");
    }

    explain_and_resources(k) {
        k.says("explain pod.spec.containers", "imagePullPolicy");
        k.refuses("explain pod.spec.absent", "field \"absent\" does not exist");
        k.says("api-resources --api-group=apps", "deployments");
        k.says("api-versions", "admissionregistration.k8s.io/v1");
        k.says("version", "v1.36");
        k.says("cluster-info", "https://127.0.0.1");
    }

    label_annotate_patch_edit_replace(k) {
        let pod = k.pod();
        k.says(&format!("label pod {pod} extra=yes"), "labeled");
        k.refuses(&format!("label pod {pod} extra=no"), "overwrite");
        k.ok(&format!("label pod {pod} extra-"));
        k.says(&format!("annotate pod {pod} note=x"), "annotated");
        k.ok("patch deployment web -p '{\"spec\":{\"minReadySeconds\":1}}'");
        k.ok("patch deployment web --type=json -p '[{\"op\":\"replace\",\"path\":\"/spec/minReadySeconds\",\"value\":2}]'");
        let mut edit = k.command("edit deployment web");
        edit.env("EDITOR", "sed -i s/minReadySeconds:.2/minReadySeconds:\\ 3/").env_remove("KUBE_EDITOR").env_remove("VISUAL");
        let edited = run(edit, "");
        assert_eq!(edited.code, Some(0), "{edited:?}");
        assert_eq!(k.ok("get deployment web -o 'jsonpath={.spec.minReadySeconds}'"), "3");
        k.ok("create configmap c --from-literal=a=1");
        let map = k.ok("get configmap c -o json").replace("\"1\"", "\"2\"");
        k.server.file("c.json", &map);
        k.says("replace -f c.json", "configmap/c replaced");
        assert_eq!(k.ok("get configmap c -o 'jsonpath={.data.a}'"), "2");
        k.ok("set env deployment/web A=b");
        k.ok("set resources deployment/web --limits=cpu=200m");
    }

    expose_events_and_jobs(k) {
        k.says("expose deployment web --port=80", "service/web exposed");
        k.says("get service web", "80/TCP");
        k.says("get events", "Scheduled");
        k.ok("create job j --image=busybox -- sh -c 'echo from the job'");
        k.ok("wait --for=condition=complete job/j --timeout=30s");
        k.says("logs job/j", "from the job");
        k.ok("create cronjob c --image=busybox '--schedule=* * * * *' -- true");
        k.says("create job --from=cronjob/c by-hand", "created");
        k.says("delete all --all", "deployment.apps \"web\" deleted");
    }
}
