/** A picture on a canvas. It draws what it is given, in slices, and keeps every node where it was. */
import { GraphCanvas } from "./canvas.ts";
import { DrawnGraph } from "./drawn-graph.ts";
import { type LinkAttributes, LinkProgram } from "./edge-program.ts";
import { LabelBoard } from "./labels.ts";
import { GraphLayout, type Place } from "./layout.ts";
import { GraphNodeProgram, type NodeAttributes, setGround } from "./node-program.ts";
import { type Palette, readPalette } from "./palette.ts";
import { isInside, pick } from "./picking.ts";
import { keepPlaces, readPlaces } from "./places.ts";
import { listenToPointer, type Pointed } from "./pointer.ts";
import { runInSlices } from "./slices.ts";

interface Line {
  readonly a: string;
  readonly b: string;
}

/** What to draw. Attributes are asked for one by one, in slices. */
export interface Drawing {
  /** All that there is: it is laid out whole, so that a filter moves nothing. */
  readonly ids: readonly string[];
  readonly lines: readonly Line[];
  /** What is shown of it. */
  readonly nodes: readonly { readonly id: string }[];
  readonly links: readonly ({ readonly id: string } & Line)[];
  readonly nodeAttributes: (id: string, place: Place, palette: Palette) => NodeAttributes | null;
  readonly linkAttributes: (id: string, palette: Palette) => LinkAttributes | null;
}

export interface ScenePorts {
  /** Under which the places of nodes are kept; another one after a while is another picture. */
  readonly placesKey: string;
  /** A node or a link; `null` = the ground. `isAdding`: with Shift. */
  readonly onSelect: (id: string | null, isAdding: boolean) => void;
  readonly onOver: (pointed: Pointed | null) => void;
  /** 0 to 1 while nodes are being arranged; `null` = nothing is. */
  readonly onArranging: (progress: number | null) => void;
  /** A line drawn around nodes with Shift held, in pixels, and the nodes inside once it is done. */
  readonly onLasso?: (line: readonly Place[], chosen: readonly string[] | null) => void;
  /** The canvas lost its context: nothing can be drawn any more. */
  readonly onLost: () => void;
}

/** Hidden nodes beside those that are drawn, until the graph is built anew. */
const MOST_HIDDEN = 2_000;
/** Pairs and nodes between two looks at the clock: well under a millisecond. */
const LAYOUT_WORK = 4_000;
const ARRANGING_SHOWN_FROM = 300;
/** More links than that are not drawn while the picture is moved: they come back when it rests. */
const LINKS_WHILE_MOVING = 2_000;
const NODE_REACH_PIXELS = 12;
const LINK_REACH_PIXELS = 7;

export class GraphScene {
  readonly #ports: ScenePorts;
  readonly #graph = new DrawnGraph<NodeAttributes, LinkAttributes>();
  readonly #sigma: GraphCanvas<NodeAttributes, LinkAttributes>;
  readonly #labels = new LabelBoard();
  #palette: Palette = readPalette();
  #places: Map<string, Place>;
  #input: Drawing | null = null;
  #turn = 0;
  #isDestroyed = false;

  constructor(container: HTMLElement, ports: ScenePorts) {
    this.#ports = ports;
    this.#places = readPlaces(localStorage, ports.placesKey);
    setGround(this.#palette.surface);
    this.#sigma = new GraphCanvas<NodeAttributes, LinkAttributes>(this.#graph, container, {
      allowInvalidContainer: true,
      defaultNodeType: "node",
      defaultEdgeType: "link",
      nodeProgramClasses: { node: GraphNodeProgram },
      edgeProgramClasses: { link: LinkProgram },
      defaultDrawNodeLabel: (context, data) => this.#labels.draw(context, data, this.#palette),
      enableEdgeEvents: false,
      zIndex: true,
      labelDensity: 0.6,
      labelGridCellSize: 110,
      labelRenderedSizeThreshold: 4,
      stagePadding: 50,
      minCameraRatio: 0.03,
      maxCameraRatio: 3,
      zoomDuration: 120,
      inertiaDuration: 0,
    });
    this.#listen();
  }

  /** Draws this from now on. A call while an earlier one is still being worked on replaces it. */
  show(input: Drawing): void {
    this.#input = input;
    this.#turn += 1;
    const turn = this.#turn;
    const isStopped = () => this.#isDestroyed || turn !== this.#turn;
    this.#sigma.hold();
    void runInSlices(this.#work(input), isStopped).then((isDone) => {
      if (!isDone) return;
      this.#sigma.release();
      this.#ports.onArranging(null);
    });
  }

  /** The theme has changed. */
  recolor(): void {
    this.#palette = readPalette();
    setGround(this.#palette.surface);
    if (this.#input) this.show(this.#input);
  }

  /** Forgets where nodes were and lays them out anew. */
  arrangeAnew(): void {
    this.#places = new Map();
    if (this.#input) this.show(this.#input);
    this.fit();
  }

  zoom(factor: number): void {
    const camera = this.#sigma.getCamera();
    camera.setState({ ratio: Math.min(3, Math.max(0.03, camera.getState().ratio / factor)) });
  }

  fit(): void {
    this.#sigma.getCamera().setState({ x: 0.5, y: 0.5, ratio: 1, angle: 0 });
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#sigma.kill();
  }

  /** Where every node lies, for other ways to draw it. */
  get places(): ReadonlyMap<string, Place> {
    return this.#places;
  }

  /** Where a node is on the page, in pixels of the canvas. */
  viewportOf(id: string): Place | null {
    const data = this.#sigma.getNodeDisplayData(id);
    return data ? this.#sigma.framedGraphToViewport(data) : null;
  }

  *#work(input: Drawing): Generator<void, void> {
    yield* this.#arrange(input);
    this.#sigma.setCustomBBox(boxOf(this.#places, input.ids));
    const isLarge = input.lines.length > LINKS_WHILE_MOVING;
    // Which of ten thousand lines lies above which nobody sees; sorting them would hold the window up.
    if (this.#sigma.getSetting("hideEdgesOnMove") !== isLarge)
      this.#sigma.setSettings({ hideEdgesOnMove: isLarge, zIndex: !isLarge });
    yield* this.#drawNodes(input);
    yield* this.#drawLinks(input);
  }

  *#arrange({ ids, lines }: Drawing): Generator<void, void> {
    let isPlaceMissing = false;
    for (const id of ids) isPlaceMissing ||= !this.#places.has(id);
    if (!isPlaceMissing) return;
    yield;
    const layout = new GraphLayout(ids, lines, this.#places);
    let told = -1;
    while (!layout.step(LAYOUT_WORK)) {
      const percent = Math.floor(layout.progress * 100);
      if (ids.length >= ARRANGING_SHOWN_FROM && percent !== told) this.#ports.onArranging(layout.progress);
      told = percent;
      yield;
    }
    for (const id of ids) {
      const place = layout.place(id);
      if (!place) continue;
      // Last in the list: those that are there now are kept longest.
      this.#places.delete(id);
      this.#places.set(id, place);
    }
    keepPlaces(localStorage, this.#ports.placesKey, this.#places);
    yield;
  }

  *#drawNodes(input: Drawing): Generator<void, void> {
    const ids = new Set<string>();
    for (const node of input.nodes) {
      ids.add(node.id);
      const place = this.#places.get(node.id) ?? { x: 0, y: 0 };
      const wanted = input.nodeAttributes(node.id, place, this.#palette);
      if (wanted === null) continue;
      if (!this.#graph.hasNode(node.id)) this.#graph.addNode(node.id, wanted);
      else if (differs(this.#graph.getNodeAttributes(node.id), wanted)) this.#graph.setNodeAttributes(node.id, wanted);
      yield;
    }
    const gone = this.#graph.nodes().filter((id) => !ids.has(id));
    if (gone.length > MOST_HIDDEN + ids.size) {
      // More is hidden than drawn: it is cheaper to begin anew.
      this.#graph.clear();
      return yield* this.#drawNodes(input);
    }
    for (const id of gone) {
      if (!this.#graph.getNodeAttributes(id).hidden) this.#graph.setNodeAttributes(id, { hidden: true });
      yield;
    }
  }

  *#drawLinks({ links, linkAttributes }: Drawing): Generator<void, void> {
    const ids = new Set<string>();
    for (const link of links) {
      if (!this.#graph.hasNode(link.a) || !this.#graph.hasNode(link.b)) continue;
      const wanted = linkAttributes(link.id, this.#palette);
      if (wanted === null) continue;
      ids.add(link.id);
      if (!this.#graph.hasEdge(link.id)) this.#graph.addUndirectedEdgeWithKey(link.id, link.a, link.b, wanted);
      else if (differs(this.#graph.getEdgeAttributes(link.id), wanted)) this.#graph.setEdgeAttributes(link.id, wanted);
      yield;
    }
    for (const id of this.#graph.edges()) {
      if (!ids.has(id) && !this.#graph.getEdgeAttributes(id).hidden)
        this.#graph.setEdgeAttributes(id, { hidden: true });
      yield;
    }
  }

  #listen(): void {
    const sigma = this.#sigma;
    sigma.on("beforeRender", () => this.#labels.clear());
    listenToPointer(sigma, {
      pick: (at) => this.#pick(at),
      isNode: (id) => this.#graph.hasNode(id),
      onSelect: this.#ports.onSelect,
      onOver: this.#ports.onOver,
      ...(this.#ports.onLasso ? { onLasso: (line, isDone) => this.#lasso(line, isDone) } : {}),
      onDrag: (id, to) => {
        const { x, y } = sigma.viewportToGraph(to);
        this.#places.set(id, { x, y });
        this.#graph.setNodeAttributes(id, { x, y });
      },
      onDropped: () => keepPlaces(localStorage, this.#ports.placesKey, this.#places),
    });
    for (const canvas of Object.values(sigma.getCanvases()))
      canvas.addEventListener("webglcontextlost", () => {
        if (!this.#isDestroyed) this.#ports.onLost();
      });
  }

  #lasso(line: readonly Place[], isDone: boolean): void {
    const around = isDone ? line.map((at) => this.#sigma.viewportToGraph(at)) : null;
    const inside = ({ id }: { readonly id: string }) => {
      const place = this.#places.get(id);
      return place !== undefined && around !== null && isInside(place, around);
    };
    const chosen = isDone ? (this.#input?.nodes ?? []).filter(inside).map(({ id }) => id) : null;
    this.#ports.onLasso?.(line, chosen);
  }

  #pick(at: Place): string | null {
    if (!this.#input) return null;
    const here = this.#sigma.viewportToGraph(at);
    const beside = this.#sigma.viewportToGraph({ x: at.x + 1, y: at.y });
    const pixel = Math.hypot(beside.x - here.x, beside.y - here.y);
    return pick(this.#input, this.#places, here, NODE_REACH_PIXELS * pixel, LINK_REACH_PIXELS * pixel);
  }
}

function differs<Attributes extends object>(now: Attributes, wanted: Attributes): boolean {
  for (const key in wanted) if (now[key] !== wanted[key]) return true;
  return false;
}

/** A frame around everything, so that what comes and goes does not move the rest. */
function boxOf(
  places: ReadonlyMap<string, Place>,
  ids: readonly string[],
): { x: [number, number]; y: [number, number] } | null {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const id of ids) {
    const place = places.get(id);
    if (!place) continue;
    left = Math.min(left, place.x);
    right = Math.max(right, place.x);
    top = Math.min(top, place.y);
    bottom = Math.max(bottom, place.y);
  }
  if (left > right) return null;
  const room = 20;
  return { x: [left - room, right + room], y: [top - room, bottom + room] };
}
