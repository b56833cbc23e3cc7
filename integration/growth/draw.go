package main

import (
	"bytes"
	"image/color"
	"math"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	width, height = 24 * vg.Centimeter, 9 * vg.Centimeter
	margin        = 3 * vg.Millimeter
)

// A hand is how the line of one way is drawn: told apart without colours too.
type hand struct {
	color color.Color
	glyph draw.GlyphDrawer
}

// The colours are of Okabe and Ito, for all kinds of eyes.
var hands = []hand{
	{color.RGBA{0, 114, 178, 255}, draw.CircleGlyph{}},
	{color.RGBA{0, 158, 115, 255}, draw.SquareGlyph{}},
	{color.RGBA{213, 94, 0, 255}, draw.TriangleGlyph{}},
}

// handOf returns the same for the same way in every picture.
func handOf(way string) hand {
	switch way {
	case "holdfast":
		return hands[0]
	case "redsync":
		return hands[2]
	}
	return hands[1]
}

// draw writes a picture of two panels: pairs a second, and the wait for a lock.
func (s subject) draw(points []point, path string) error {
	rate, err := s.panel(points, "acquired and released, pairs/s", func(p point) float64 { return p.PairRate })
	if err != nil {
		return err
	}
	wait, err := s.panel(points, "wait for a lock, p99, ms", func(p point) float64 { return p.LockP99 / 1000 })
	if err != nil {
		return err
	}
	canvas := vgsvg.New(width, height)
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	title := rate.Title.TextStyle
	title.XAlign, title.YAlign = draw.XCenter, draw.YTop
	whole.FillText(title, vg.Point{X: width / 2, Y: height - margin}, s.title)
	panels := [][]*plot.Plot{{rate, wait}}
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadTop: margin + 2*title.Font.Size, PadBottom: margin, PadLeft: margin, PadRight: margin, PadX: 2 * margin}
	for i, c := range plot.Align(panels, tiles, whole)[0] {
		panels[0][i].Draw(c)
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return err
	}
	return os.WriteFile(path, bytes.ReplaceAll(b.Bytes(), []byte(family), []byte(families)), 0o644)
}

// The font that is measured with, and those as wide that a reader may have.
const (
	family   = "font-family:Liberation Sans;"
	families = "font-family:Liberation Sans,Arial,Helvetica,sans-serif;"
)

func (s subject) panel(points []point, label string, value func(point) float64) (*plot.Plot, error) {
	p := plot.New()
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.Legend.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font} {
		f.Variant, f.Size = "Sans", 10
	}
	p.Title.TextStyle.Font.Size = 13
	p.X.Label.Text, p.Y.Label.Text = s.axis, label
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	low, high := math.Inf(1), math.Inf(-1)
	for _, way := range waysOf(points) {
		var line plotter.XYs
		for _, q := range points {
			if q.Way == way {
				line = append(line, plotter.XY{X: float64(q.Count), Y: value(q)})
				low, high = min(low, value(q)), max(high, value(q))
			}
		}
		if err := addLine(p, way, line); err != nil {
			return nil, err
		}
	}
	var at []float64
	for _, count := range countsOf(points) {
		at = append(at, float64(count))
	}
	p.X.Tick.Marker = ticksAt(at)
	if s.logarithmic {
		p.X.Scale = plot.LogScale{}
	}
	p.Y.Scale, p.Y.Min, p.Y.Max = plot.LogScale{}, low/2, high*2 // what hardly changes looks like it
	p.Y.Tick.Marker = ticksAt(steps(p.Y.Min, p.Y.Max))
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding = vg.Millimeter
	p.Legend.XOffs, p.Legend.YOffs = 2*vg.Millimeter, -vg.Millimeter
	return p, nil
}

func addLine(p *plot.Plot, way string, at plotter.XYs) error {
	line, dots, err := plotter.NewLinePoints(at)
	if err != nil {
		return err
	}
	h := handOf(way)
	line.Color, line.Width = h.color, vg.Points(1.5)
	dots.Color, dots.Shape, dots.Radius = h.color, h.glyph, vg.Points(3)
	p.Add(line, dots)
	p.Legend.Add(way, line, dots)
	return nil
}

func ticksAt(values []float64) plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for _, v := range values {
		ticks = append(ticks, plot.Tick{Value: v, Label: short(v)})
	}
	return ticks
}

// steps returns 1, 2, 5, 10, ... as far as they lie between low and high.
func steps(low, high float64) (all []float64) {
	for power := math.Pow(10, math.Floor(math.Log10(low))); power <= high; power *= 10 {
		for _, digit := range []float64{1, 2, 5} {
			if v := digit * power; v >= low && v <= high {
				all = append(all, v)
			}
		}
	}
	return all
}
