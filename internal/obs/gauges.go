package obs

import "github.com/prometheus/client_golang/prometheus"

// PoolGauge is the pool's instances of one runtime at this moment.
type PoolGauge struct {
	Runtime string
	Size    int // all of them
	Warm    int // waiting for work, blank or specialized
	Busy    int // running a call
}

// QueueGauge is the scheduler's state at this moment.
type QueueGauge struct {
	Held    int // calls waiting for an instance
	Workers int // calls running
}

// WatchPool has read called at every scrape. It is called once, by who wires the pool.
func (m *Metrics) WatchPool(read func() []PoolGauge) {
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"runtime"}, nil)
	}
	m.registry.MustRegister(&poolCollector{
		read: read,
		size: gauge("nimbus_vm_pool_size", "Instances."),
		warm: gauge("nimbus_vm_pool_warm", "Instances that wait for work."),
		busy: gauge("nimbus_vm_pool_busy", "Instances that run a call."),
	})
}

// WatchQueue has read called at every scrape. It is called once, by who wires the scheduler.
func (m *Metrics) WatchQueue(read func() QueueGauge) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nimbus_scheduler_queue_size", Help: "Calls that wait for an instance.",
		}, func() float64 { return float64(read().Held) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nimbus_scheduler_workers", Help: "Calls that run.",
		}, func() float64 { return float64(read().Workers) }),
	)
}

type poolCollector struct {
	read             func() []PoolGauge
	size, warm, busy *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *poolCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.size
	descs <- c.warm
	descs <- c.busy
}

// Collect implements prometheus.Collector.
func (c *poolCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, g := range c.read() {
		metrics <- prometheus.MustNewConstMetric(c.size, prometheus.GaugeValue, float64(g.Size), g.Runtime)
		metrics <- prometheus.MustNewConstMetric(c.warm, prometheus.GaugeValue, float64(g.Warm), g.Runtime)
		metrics <- prometheus.MustNewConstMetric(c.busy, prometheus.GaugeValue, float64(g.Busy), g.Runtime)
	}
}
