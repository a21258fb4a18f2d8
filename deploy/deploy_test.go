// Package deploy_test checks the files of this directory without running them: that they parse, that images are pinned,
// and that what one of them names is there in the others.
package deploy_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kinfold/processor/config"
)

// top is the top of the repository, seen from here.
const top = ".."

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parseYAML(t *testing.T, path string, v any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, path)), v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// files lists the files below this directory whose name ends in one of the extensions.
func files(t *testing.T, extensions ...string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && slices.Contains(extensions, filepath.Ext(path)) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestEveryFileParses(t *testing.T) {
	for _, path := range append(files(t, ".yaml", ".yml"), filepath.Join(top, "docker-compose.yml")) {
		var tree any
		parseYAML(t, path, &tree)
		if tree == nil {
			t.Errorf("%s is empty", path)
		}
	}
	for _, path := range files(t, ".json") {
		if !json.Valid([]byte(read(t, path))) {
			t.Errorf("%s is no JSON", path)
		}
	}
}

func env(name string) (string, bool) {
	return "text-of-" + strings.ToLower(name), true
}

func TestExampleConfigurationIsTheDefaults(t *testing.T) {
	c, err := config.Load("kinfold.yaml", func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(config.Default(), c, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(config.Source{})); d != "" {
		t.Errorf("kinfold.yaml differs from the defaults (-default +file):\n%s", d)
	}
}

// secretText is the content of every secret file of these tests.
const secretText = "a-secret-of-this-deployment"

// commented is a key with an example value: no space stands after the #.
var commented = regexp.MustCompile(`^(\s*)#([a-z_]+:.*)$`)

func TestExamplesInTheExampleConfigurationLoad(t *testing.T) {
	dir := t.TempDir()
	var lines []string
	for line := range strings.SplitSeq(read(t, "kinfold.yaml"), "\n") {
		if m := commented.FindStringSubmatch(line); m != nil {
			line = m[1] + m[2]
			// An example below its default takes its place.
			if key, _, _ := strings.Cut(line, ":"); strings.HasPrefix(lines[len(lines)-1], key+":") {
				lines = lines[:len(lines)-1]
			}
		}
		lines = append(lines, line)
	}
	text := strings.ReplaceAll(strings.Join(lines, "\n"), "/run/secrets", filepath.Join(dir, "secrets"))
	text = strings.Replace(text, "tls:\n    # The brokers' certificate is always verified.\n    enabled: false", "tls:\n    enabled: true", 1)
	for _, secret := range regexp.MustCompile(`secrets/([a-z_]+)}`).FindAllStringSubmatch(text, -1) {
		write(t, filepath.Join(dir, "secrets", secret[1]), secretText+"\n")
	}
	write(t, filepath.Join(dir, "kinfold.yaml"), text)
	c, err := config.Load(filepath.Join(dir, "kinfold.yaml"), env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Kafka.SASL.Password.IsZero() || c.Registry.Password.IsZero() || c.HTTP.Token.Reveal() != secretText || c.Identity.IDKey != secretText || c.InstanceID != "text-of-hostname" {
		t.Error("an example was not read")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestExampleConfigurationNamesEveryKey(t *testing.T) {
	effective, err := config.Effective(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, "kinfold.yaml")
	for _, m := range regexp.MustCompile(`(?m)^ *([a-z_]+):`).FindAllStringSubmatch(string(effective), -1) {
		if !regexp.MustCompile(`\b` + m[1] + `\b`).MatchString(text) {
			t.Errorf("kinfold.yaml does not name the key %s", m[1])
		}
	}
}

// metricNames reads the metrics that the program publishes from the one place that lists them.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	source := read(t, filepath.Join(top, "processor", "metrics.go"))
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:(?:counter|single|gauge)\(|Name: )"([a-z_]+)"`).FindAllStringSubmatch(source, -1) {
		names["kinfold_"+m[1]] = true
	}
	if len(names) < 20 {
		t.Fatalf("processor/metrics.go lists its metrics in a way that this test does not read: found %d", len(names))
	}
	return names
}

var metricName = regexp.MustCompile(`\bkinfold_[a-z_]+`)

func checkMetrics(t *testing.T, where, expr string, known map[string]bool) {
	t.Helper()
	for _, name := range metricName.FindAllString(expr, -1) {
		if !known[name] && !known[strings.TrimSuffix(name, "_bucket")] {
			t.Errorf("%s asks for %s, which the program does not publish", where, name)
		}
	}
}

type dashboard struct {
	UID    string
	Panels []struct {
		ID         int
		Type       string
		Title      string
		Datasource struct{ UID string }
		Targets    []struct{ Expr string }
		GridPos    struct{ X, Y, W, H int }
	}
}

func TestDashboardsAskForMetricsThatExist(t *testing.T) {
	var sources struct {
		Datasources []struct{ UID, URL string }
	}
	parseYAML(t, "grafana/provisioning/datasources/prometheus.yml", &sources)
	known := metricNames(t)
	asked := ""
	for _, path := range files(t, ".json") {
		var d dashboard
		if err := json.Unmarshal([]byte(read(t, path)), &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		ids := map[int]bool{}
		for i, p := range d.Panels {
			if ids[p.ID] {
				t.Errorf("%s: panel %q has the id %d of another", path, p.Title, p.ID)
			}
			ids[p.ID] = true
			for _, q := range d.Panels[:i] {
				a, b := p.GridPos, q.GridPos
				if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
					t.Errorf("%s: panel %q lies over %q", path, p.Title, q.Title)
				}
			}
			if p.Type == "row" {
				continue
			}
			if p.Datasource.UID != sources.Datasources[0].UID {
				t.Errorf("%s: panel %q reads from %q, which is not provisioned", path, p.Title, p.Datasource.UID)
			}
			if len(p.Targets) == 0 {
				t.Errorf("%s: panel %q has no query", path, p.Title)
			}
			for _, target := range p.Targets {
				checkMetrics(t, path+": panel "+p.Title, target.Expr, known)
				checkParentheses(t, path+": panel "+p.Title, target.Expr)
				asked += target.Expr + "\n"
			}
		}
		if d.UID == "" || len(d.Panels) == 0 {
			t.Errorf("%s is no dashboard", path)
		}
	}
	for name := range known {
		if !strings.Contains(asked, name) && name != "kinfold_build_info" {
			t.Errorf("no panel shows %s", name)
		}
	}
}

func checkParentheses(t *testing.T, where, expr string) {
	t.Helper()
	for _, pair := range []string{"()", "{}", "[]"} {
		if strings.Count(expr, pair[:1]) != strings.Count(expr, pair[1:]) {
			t.Errorf("%s: %s do not match in %s", where, pair, expr)
		}
	}
}

func TestAlertsAskForMetricsThatExistAndAreInTheRunbook(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	parseYAML(t, "prometheus/alerts.yml", &rules)
	runbook, known, n := read(t, "README.md"), metricNames(t), 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			checkMetrics(t, r.Alert, r.Expr, known)
			checkParentheses(t, r.Alert, r.Expr)
			if !strings.Contains(runbook, "### "+r.Alert+"\n") {
				t.Errorf("README.md does not say what to do about %s", r.Alert)
			}
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("%s has no severity or no summary", r.Alert)
			}
		}
	}
	if headings := strings.Count(runbook, "\n### Kinfold"); headings != n {
		t.Errorf("README.md has %d alerts, prometheus/alerts.yml %d", headings, n)
	}
	checkMetrics(t, "README.md", runbook, known)
}

// pinned accepts an image with an exact version or a digest.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+(:v?[0-9]+\.[0-9]+\.[0-9]+([.-][a-z0-9.-]+)?|@sha256:[0-9a-f]{64})$`)

// localImage is what docker-compose.yml builds itself.
const localImage = "kinfold:local"

func TestImagesArePinned(t *testing.T) {
	for name, s := range readCompose(t).Services {
		switch {
		case s.Image == localImage && s.Build.Dockerfile != "":
		case !pinned.MatchString(s.Image):
			t.Errorf("docker-compose.yml: image %q of %s has no exact version", s.Image, name)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^FROM (?:--\S+ )*(\S+)`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		if m[1] != "scratch" && !pinned.MatchString(m[1]) {
			t.Errorf("Dockerfile: base %q has no exact version", m[1])
		}
	}
	for _, path := range files(t, ".yaml") {
		for _, m := range regexp.MustCompile(`(?m)^\s*(?:- )?image: (\S+)`).FindAllStringSubmatch(read(t, path), -1) {
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s: image %q has no exact version", path, m[1])
			}
		}
	}
}

func TestDockerfileBuildsWithTheGoOfTheModule(t *testing.T) {
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, filepath.Join(top, "go.mod")))[1]
	if !strings.Contains(read(t, "Dockerfile"), "golang:"+version+" ") {
		t.Errorf("Dockerfile does not build with golang:%s, the version of go.mod", version)
	}
}

func TestDockerfileCopiesWhatExistsAndIsNotIgnored(t *testing.T) {
	ignore := strings.Fields(read(t, filepath.Join(top, ".dockerignore")))
	for _, m := range regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		for _, path := range strings.Fields(m[1]) {
			path = strings.TrimSuffix(path, "/")
			if !exists(filepath.Join(top, path)) {
				t.Errorf("Dockerfile copies %s, which does not exist", path)
			}
			if !slices.Contains(ignore, "!"+path) {
				t.Errorf(".dockerignore leaves out %s, which the Dockerfile copies", path)
			}
		}
	}
	if !strings.Contains(read(t, "Dockerfile"), "\nUSER 65532:65532\n") {
		t.Error("Dockerfile: the program runs as root")
	}
}

// The build in the image has no checkout to take its version from: the linker sets it.
func TestTheImageKnowsItsVersion(t *testing.T) {
	m := regexp.MustCompile(`-X (\S+)=\$VERSION"`).FindStringSubmatch(read(t, "Dockerfile"))
	if m == nil {
		t.Fatal("the Dockerfile sets no version")
	}
	program := filepath.Join(t.TempDir(), "kinfold")
	build := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-X "+m[1]+"=v1.2.3-prueba", "-o", program, "./cmd/kinfold")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program, "version").Output()
	if err != nil || !strings.HasPrefix(string(out), "kinfold v1.2.3-prueba ") {
		t.Errorf("%q %v", out, err)
	}
}

type compose struct {
	Services map[string]struct {
		Image       string
		Build       struct{ Context, Dockerfile string }
		User        string
		Ports       []string
		Volumes     []string
		Command     []string
		Environment map[string]string
		DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
		Healthcheck map[string]any
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
	}
	Volumes map[string]any
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	parseYAML(t, filepath.Join(top, "docker-compose.yml"), &c)
	if len(c.Services) == 0 {
		t.Fatal("docker-compose.yml has no services")
	}
	return c
}

func TestComposePublishesOnLoopbackOnly(t *testing.T) {
	taken := map[string]string{}
	for name, s := range readCompose(t).Services {
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s beyond this machine", name, p)
			}
			host := strings.Join(strings.Split(p, ":")[:2], ":")
			if taken[host] != "" {
				t.Errorf("%s and %s both publish %s", name, taken[host], host)
			}
			taken[host] = name
		}
		if !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s keeps privileges that it has no use for", name)
		}
	}
}

func TestComposeNamesWhatExists(t *testing.T) {
	c := readCompose(t)
	used := map[string]bool{}
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			source := strings.Split(v, ":")[0]
			if strings.HasPrefix(source, ".") {
				if !exists(filepath.Join(top, source)) {
					t.Errorf("%s mounts %s, which does not exist", name, source)
				}
				continue
			}
			used[source] = true
			if _, ok := c.Volumes[source]; !ok {
				t.Errorf("%s mounts the volume %s, which is not declared", name, source)
			}
		}
		if s.Build.Dockerfile != "" && !exists(filepath.Join(top, s.Build.Context, s.Build.Dockerfile)) {
			t.Errorf("%s is built from %s, which does not exist", name, s.Build.Dockerfile)
		}
		for other, d := range s.DependsOn {
			dep, ok := c.Services[other]
			if !ok {
				t.Errorf("%s depends on %s, which is no service", name, other)
			}
			if d.Condition == "service_healthy" && dep.Healthcheck == nil {
				t.Errorf("%s waits until %s is healthy, but that has no healthcheck", name, other)
			}
		}
	}
	for v := range c.Volumes {
		if !used[v] {
			t.Errorf("nobody mounts the volume %s", v)
		}
	}
}

// loadCompose loads the configuration that docker-compose.yml mounts.
func loadCompose(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Load("kinfold.compose.yaml", env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPortsAndNamesAgree(t *testing.T) {
	c, services := loadCompose(t), readCompose(t).Services
	port := c.HTTP.Listen[strings.LastIndexByte(c.HTTP.Listen, ':')+1:]

	if want := "127.0.0.1:" + port + ":" + port; !slices.Contains(services["kinfold"].Ports, want) {
		t.Errorf("docker-compose.yml publishes %v, the program listens on %s", services["kinfold"].Ports, port)
	}
	if config.Default().HTTP.Listen != "127.0.0.1:"+port {
		t.Errorf("the default port is that of %s, here it is %s", config.Default().HTTP.Listen, port)
	}
	if !strings.Contains(read(t, "Dockerfile"), "\nEXPOSE "+port+"\n") {
		t.Errorf("Dockerfile does not expose %s", port)
	}

	var prometheus struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string                       `yaml:"job_name"`
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	parseYAML(t, "prometheus/prometheus.yml", &prometheus)
	for _, f := range prometheus.RuleFiles {
		if !exists(filepath.Join("prometheus", f)) {
			t.Errorf("prometheus.yml reads %s, which does not exist", f)
		}
	}
	job := prometheus.ScrapeConfigs[0]
	if want := []string{"kinfold:" + port}; !slices.Equal(job.StaticConfigs[0].Targets, want) || job.JobName != "kinfold" {
		t.Errorf("prometheus.yml reads %v as %s, want %v as kinfold", job.StaticConfigs[0].Targets, job.JobName, want)
	}

	listeners := services["kafka"].Environment["KAFKA_ADVERTISED_LISTENERS"]
	for _, b := range c.Kafka.Brokers {
		if !strings.Contains(listeners, "://"+b) {
			t.Errorf("kinfold.compose.yaml: broker %s is not among %s", b, listeners)
		}
	}
	registry := "http://registry:" + services["registry"].Environment["QUARKUS_HTTP_PORT"]
	if !strings.HasPrefix(c.Registry.URLs[0], registry+"/") {
		t.Errorf("kinfold.compose.yaml: registry %s, docker-compose.yml has it at %s", c.Registry.URLs[0], registry)
	}
	inputs := strings.Join(services["inputs"].Command, "\n")
	for _, topic := range c.SourceTopics() {
		if !regexp.MustCompile(`[ ;]` + regexp.QuoteMeta(topic) + `[ ;]`).MatchString(inputs) {
			t.Errorf("docker-compose.yml does not create the input topic %s", topic)
		}
	}
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)\}`).FindAllStringSubmatch(read(t, "kinfold.compose.yaml"), -1) {
		for _, name := range []string{"kinfold", "topics"} {
			if _, ok := services[name].Environment[m[1]]; !ok {
				t.Errorf("docker-compose.yml does not give %s the variable %s", name, m[1])
			}
		}
	}

	var sources struct {
		Datasources []struct{ URL string }
	}
	parseYAML(t, "grafana/provisioning/datasources/prometheus.yml", &sources)
	if sources.Datasources[0].URL != "http://prometheus:9090" || services["prometheus"].Image == "" {
		t.Errorf("Grafana reads from %s", sources.Datasources[0].URL)
	}
	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	parseYAML(t, "grafana/provisioning/dashboards/kinfold.yml", &providers)
	path := providers.Providers[0].Options.Path
	if !slices.Contains(services["grafana"].Volumes, "./deploy/grafana/dashboards:"+path+":ro") {
		t.Errorf("Grafana reads dashboards from %s, where docker-compose.yml mounts none", path)
	}
	home := services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	if !exists(filepath.Join("grafana", "dashboards", filepath.Base(home))) || filepath.Dir(home) != path {
		t.Errorf("Grafana's home dashboard %s does not exist", home)
	}
}

func TestStateVolumesLieWhereTheProgramWrites(t *testing.T) {
	dir := loadCompose(t).StateDir
	if !slices.Contains(readCompose(t).Services["kinfold"].Volumes, "kinfold-state:"+dir) {
		t.Errorf("docker-compose.yml mounts no volume on %s", dir)
	}
	if !strings.Contains(read(t, "Dockerfile"), "\nVOLUME "+dir+"\n") {
		t.Errorf("Dockerfile declares no volume on %s", dir)
	}
	if !strings.Contains(read(t, "k8s/statefulset.yaml"), fmt.Sprintf("{name: state, mountPath: %s}", dir)) {
		t.Errorf("k8s/statefulset.yaml mounts no volume on %s", dir)
	}
}

func TestKubernetesFilesAgree(t *testing.T) {
	var maps struct {
		Metadata struct{ Name string }
		Data     map[string]string
	}
	parseYAML(t, "k8s/configmap.yaml", &maps)
	set := read(t, "k8s/statefulset.yaml")
	dir := t.TempDir()
	text := maps.Data["kinfold.yaml"]
	for _, m := range regexp.MustCompile(`\$\{file:(/etc/kinfold/secrets)/([a-z_]+)\}`).FindAllStringSubmatch(text, -1) {
		write(t, filepath.Join(dir, m[2]), secretText)
		text = strings.ReplaceAll(text, m[1]+"/"+m[2], filepath.Join(dir, m[2]))
		if !strings.Contains(set, "mountPath: "+m[1]+",") {
			t.Errorf("statefulset.yaml mounts nothing on %s", m[1])
		}
		if !strings.Contains(read(t, "README.md"), m[2]) {
			t.Errorf("README.md does not say how to make the secret %s", m[2])
		}
	}
	write(t, filepath.Join(dir, "kinfold.yaml"), text)
	c, err := config.Load(filepath.Join(dir, "kinfold.yaml"), func(name string) (string, bool) {
		return "kinfold-0", strings.Contains(set, "- name: "+name+"\n")
	})
	if err != nil {
		t.Fatal(err)
	}
	port := c.HTTP.Listen[strings.LastIndexByte(c.HTTP.Listen, ':')+1:]
	if want := "kinfold-0." + maps.Metadata.Name + ":" + port; c.HTTP.AddressOf(c.InstanceID) != want {
		t.Errorf("k8s/configmap.yaml: pods are asked at %s, the Service makes it %s", c.HTTP.AddressOf(c.InstanceID), want)
	}
	for path, want := range map[string]string{
		"k8s/statefulset.yaml": "containerPort: " + port, "k8s/service.yaml": "port: " + port,
	} {
		if !strings.Contains(read(t, path), want) {
			t.Errorf("%s has no %s", path, want)
		}
	}
	for _, want := range []string{
		"path: /healthz", "path: /readyz", "runAsNonRoot: true", "readOnlyRootFilesystem: true",
		"allowPrivilegeEscalation: false", "configMap: {name: " + maps.Metadata.Name + "}",
	} {
		if !strings.Contains(set, want) {
			t.Errorf("k8s/statefulset.yaml has no %s", want)
		}
	}
}
