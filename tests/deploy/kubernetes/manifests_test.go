// Decodes every manifest strictly into the types of Kubernetes' own API: an unknown or misspelt
// field, a wrong type or a value that is given twice fails.
package manifests

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// Not part of Kubernetes: tests/deploy/test_keda.py holds them against KEDA's own definitions.
var foreign = map[string]bool{"ScaledObject": true, "TriggerAuthentication": true, "Kustomization": true}

var kinds = map[string]func() any{
	"apps/v1 Deployment":                 func() any { return &apps.Deployment{} },
	"batch/v1 Job":                       func() any { return &batch.Job{} },
	"networking.k8s.io/v1 NetworkPolicy": func() any { return &networking.NetworkPolicy{} },
	"policy/v1 PodDisruptionBudget":      func() any { return &policy.PodDisruptionBudget{} },
	"v1 ConfigMap":                       func() any { return &core.ConfigMap{} },
	"v1 Service":                         func() any { return &core.Service{} },
}

func TestEveryManifestIsWhatKubernetesKnows(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(os.Getenv("MANIFESTS"), "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests in MANIFESTS=%q: %v", os.Getenv("MANIFESTS"), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			decode(t, filepath.Base(file), document)
		}
	}
}

func decode(t *testing.T, file string, document []byte) {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal(document, &head); err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("%s: %v", file, err)
		return
	}
	if foreign[head.Kind] || head.Kind == "" {
		return
	}
	made, known := kinds[head.APIVersion+" "+head.Kind]
	if !known {
		t.Errorf("%s: %s %s is not known here", file, head.APIVersion, head.Kind)
		return
	}
	if err := yaml.UnmarshalStrict(document, made()); err != nil {
		t.Errorf("%s: %s: %v", file, head.Kind, err)
	}
}
