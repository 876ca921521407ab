/** Keeps an error of one page from taking the console down. */
import { Component, type ReactNode } from "react";
import { Failure } from "../ui/states.tsx";

interface State {
  readonly error: unknown;
}

export class Boundary extends Component<{ readonly children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: unknown): State {
    return { error };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return (
      <Failure
        error={this.state.error}
        title="This page stopped working"
        onRetry={() => this.setState({ error: null })}
      />
    );
  }
}
