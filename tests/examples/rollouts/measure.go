// Measures each metric of an AnalysisTemplate with the providers of Argo Rollouts, and prints the phases.
package main

import (
	"fmt"
	"os"

	"github.com/argoproj/argo-rollouts/metricproviders/prometheus"
	"github.com/argoproj/argo-rollouts/metricproviders/webmetric"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	log "github.com/sirupsen/logrus"
	"sigs.k8s.io/yaml"
)

func measure(metric v1alpha1.Metric) (v1alpha1.Measurement, error) {
	entry := *log.NewEntry(log.New())
	if metric.Provider.Web != nil {
		client, err := webmetric.NewWebMetricHttpClient(metric)
		if err != nil {
			return v1alpha1.Measurement{}, err
		}
		parser, err := webmetric.NewWebMetricJsonParser(metric)
		if err != nil {
			return v1alpha1.Measurement{}, err
		}
		return webmetric.NewWebMetricProvider(entry, client, parser).Run(&v1alpha1.AnalysisRun{}, metric), nil
	}
	api, err := prometheus.NewPrometheusAPI(metric)
	if err != nil {
		return v1alpha1.Measurement{}, err
	}
	provider, err := prometheus.NewPrometheusProvider(api, entry, metric)
	if err != nil {
		return v1alpha1.Measurement{}, err
	}
	return provider.Run(&v1alpha1.AnalysisRun{}, metric), nil
}

func main() {
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err != nil {
			log.Fatal(err)
		}
		var template v1alpha1.AnalysisTemplate
		if err := yaml.UnmarshalStrict(text, &template); err != nil {
			log.Fatal(err)
		}
		for _, metric := range template.Spec.Metrics {
			found, err := measure(metric)
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(found.Phase, found.Value, found.Message)
		}
	}
}
